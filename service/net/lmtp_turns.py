"""One LMTP connection's turns of the event loop.

Owns whose they are, and that what keeps the loop busy for long has those of long texts. Refuses to know how turns are
shared out, and what is done in them.
RFC 5321 §3.3 (one recipient or many, and the text that follows them).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from service.mail.allowances import network_of
from service.mail.turns import Whose
from service.net.lmtp_performing import Performer
from service.net.lmtp_service import LmtpService
from service.net.lmtp_train import Train


class LmtpTurns:
    """The turns of one connection."""

    __slots__ = ("_long_texts", "_pace", "_performer", "_train", "whose")

    def __init__(self, service: LmtpService, client: str, performer: Performer, train: Train) -> None:
        self._pace, self._long_texts = service.pace, service.long_texts
        self._performer = performer
        self._train = train
        self.whose: Whose = network_of(client)
        """Its address's, and from a text on its first recipient's tenant's."""

    @property
    def is_long(self) -> bool:
        """Whether what comes is a long text, or a long train of commands, which keeps the event loop as busy."""
        return self._performer.is_long or self._train.is_long

    def soon(self, call: Callable[[], object]) -> bool:
        """Call `call` in turn, at once where there is room; whether it was called."""
        called = False

        # A text is digested as it comes, a millisecond for each read: so one of each sender would run in one go.
        def made() -> None:
            nonlocal called
            called = True
            call()

        if self._pace is None:
            made()
        elif self._long_texts is not None and self.is_long:
            self._long_texts.soon(self.whose, made)
        else:
            self._pace.soon(self.whose, made)
        return called

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, in no turn: what it asks of other systems takes theirs."""
        await work
