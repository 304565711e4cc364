"""UPDATE and the end of a session: remove what is marked, then give the maildrop back.

Owns the order. Refuses to remove anything unless the session's fence is still the newest (G3, G4);
that comparison is the index's, in the same statement as the removal.
RFC 1939 §6.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from service.mail.leases import Leases
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import MessageIndex
from service.model.account import MaildropKey
from service.model.aftermath import Aftermath


@dataclass(frozen=True, slots=True)
class Update:
    """The use case."""

    index: MessageIndex
    leases: Leases
    changing: Callable[[MaildropKey], None] = lambda _: None
    """Told of a maildrop whose listing is about to change."""

    def __call__(
        self, maildrop: OpenMaildrop, sequences: Sequence[int], retrieved: Sequence[int] = ()
    ) -> Coroutine[Any, Any, None]:
        """Remove exactly these messages and note others as retrieved, then release the maildrop, whatever came of it.

        RFC 1939 §6: "Whether the removal was successful or not, the server then releases any exclusive-access
        lock on the maildrop". Raises Refusal: LOST or UNAVAILABLE (none removed), UNKNOWN_OUTCOME (all or none).
        """
        return self._remove(maildrop, sequences, retrieved) if sequences or retrieved else self.close(maildrop)

    def close(self, maildrop: OpenMaildrop) -> Coroutine[Any, Any, None]:
        """End without UPDATE: nothing is removed (RFC 1939 §3, G2), and the maildrop is free at once (G6)."""
        return self.leases.release(maildrop.lease)

    async def _remove(self, maildrop: OpenMaildrop, sequences: Sequence[int], retrieved: Sequence[int]) -> None:
        try:
            if sequences:
                self.changing(maildrop.key)
            aftermath = Aftermath(retrieved, maildrop.undo_days)
            await self.index.remove(maildrop.key, maildrop.fence, sequences, maildrop.trail, aftermath)
        finally:
            await self.leases.release(maildrop.lease)
