"""Where the messages of one maildrop are stored, asked for before anybody waits for it.

Owns how many places are asked for at a time and which are remembered. Refuses to read what is there.
RFC 1939 §5 RETR, §7 TOP.
"""

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from service.model.account import MaildropKey
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal

LOCATED_AHEAD = 80
"""Messages whose places are asked for in one round trip."""
LEAST_LOCATED = 16
"""For fewer, places are asked for only when they are needed."""


class Located(Protocol):
    """Whatever knows where messages are: the index, or what was kept of it."""

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """As `MessageIndex.locate`."""


@dataclass(slots=True)
class Places:
    """Where the messages of one maildrop are, asked for some at a time and remembered while they are near."""

    index: Located
    key: MaildropKey
    _known: dict[int, StoredMessage] = field(default_factory=dict)
    _asking: "asyncio.Task[Refusal | None] | None" = None

    async def of(self, sequence: int, upcoming: Sequence[int] = ()) -> StoredMessage:
        """Where the message is. Raises Refusal: BROKEN when its row is gone, UNAVAILABLE.

        What fails while it is waited for isn't asked all over again: that would double what the client waits.
        """
        asking = self._asking
        if sequence not in self._known and asking is not None and not asking.done():
            await asyncio.wait({asking})
            if (refusal := asking.result()) is not None:
                raise refusal
        if sequence not in self._known:
            wanted = (sequence, *upcoming[: LOCATED_AHEAD - 1])
            self._known = dict(await self.index.locate(self.key, wanted))
        message = self._known.get(sequence)
        if message is None:
            raise Refusal(Reason.BROKEN, f"message {sequence} has no row")
        return message

    def known(self, sequence: int) -> StoredMessage | None:
        """Where the message is, if that was asked for already."""
        return self._known.get(sequence)

    def ask_ahead(self, upcoming: Sequence[int]) -> None:
        """Begin to ask where these are, once there are some not known, so that nobody who reads on waits for it."""
        few = upcoming[-LEAST_LOCATED:]
        if (self._asking is None or self._asking.done()) and few and few[0] not in self._known:
            wanted = [sequence for sequence in upcoming if sequence not in self._known][:LOCATED_AHEAD]
            if len(wanted) >= LEAST_LOCATED:
                self._asking = asyncio.get_running_loop().create_task(self._learn(wanted, frozenset(upcoming)))

    async def _learn(self, wanted: Sequence[int], near: Set[int]) -> Refusal | None:
        try:
            found = await self.index.locate(self.key, wanted)
        except Refusal as refusal:
            # Who waits is told; whoever comes to need them later asks anew.
            return refusal
        self._known = {sequence: at for sequence, at in self._known.items() if sequence in near} | dict(found)
        return None
