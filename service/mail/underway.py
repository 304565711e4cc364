"""Texts on their way by LMTP: what each holds of the memory for all of them, and whose sender fell silent meanwhile.

Owns who makes room when memory is scarce: the text whose sender has said nothing for longest. A sender that stops in
the middle would else keep others out until its connection times out. Refuses to know how a text is stored.
RFC 5321 §4.5.3.2.7 (timeouts of servers), §3.8 (421).
"""

from collections.abc import Callable
from dataclasses import dataclass

from service.mail.ports import Clock
from service.mail.text_memory import Share, TextMemory

SILENT_SECONDS = 15.0
"""How long a sender may say nothing in the middle of a text while others wait for memory.

Deviates: RFC 5321 §4.5.3.2.7 has servers wait 5 minutes at least. So does this one, unless that would turn others away.
"""
EVERY = 1.0
"""Seconds between two looks for such a sender."""


@dataclass(slots=True, eq=False)
class Text:
    """One text's place; it must come to `end`."""

    share: Share
    shed: Callable[[], object]
    """Ends the connection that it comes through, as one that makes room."""
    clock: Clock
    ended: Callable[["Text"], object]
    heard: float = 0.0
    """When its sender was last heard, by the clock's seconds."""
    busy: bool = False
    """Whether it is the sender who waits."""
    leaving: bool = False
    """Whether it was told to make room."""

    def covers(self, octets: int) -> bool:
        """Take note that it has come to so many octets; whether it may go on without `grow`."""
        self.heard = self.clock.monotonic()
        return self.share.covers(octets)

    async def grow(self, octets: int) -> None:
        """Hold what a text of so many octets needs. Raises Refusal(OVERLOADED), and holds what it held."""
        if not self.share.covers(octets):
            await self.share.grow(octets)

    def waits(self, *, busy: bool) -> None:
        """The sender has to wait, or needn't any more."""
        self.busy, self.heard = busy, self.clock.monotonic()

    def end(self) -> None:
        """Give everything back; to be called once."""
        self.share.give_back()
        self.ended(self)


class Underway:
    """All texts of one process."""

    def __init__(self, memory: TextMemory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._texts: set[Text] = set()

    async def begin(self, share: Share, shed: Callable[[], object]) -> Text:
        """A place for a text, in turn. Raises Refusal(OVERLOADED) where there is no room in time."""
        await share.grow(0)
        return self._begun(share, shed)

    def try_begin(self, share: Share, shed: Callable[[], object]) -> Text | None:
        """The same, if there is room at once."""
        return self._begun(share, shed) if share.try_grow(0) else None

    def _begun(self, share: Share, shed: Callable[[], object]) -> Text:
        text = Text(share, shed, self._clock, self._texts.discard, self._clock.monotonic())
        self._texts.add(text)
        return text

    async def make_room(self) -> None:
        """Shed as many as wait for memory, at most, of those whose senders have been silent for too long."""
        silent_since = self._clock.monotonic() - SILENT_SECONDS
        staying = [text for text in self._texts if not text.leaving]
        silent = [text for text in staying if not text.busy and text.heard <= silent_since]
        # Those that leave already make room for as many, once they have ended.
        wanted = max(0, self._memory.waiting - (len(self._texts) - len(staying)))
        for text in sorted(silent, key=lambda each: each.heard)[:wanted]:
            text.leaving = True
            text.shed()
