"""How one session's messages are sent: what was fetched ahead, what is counted, and what memory that takes.

Owns where a message is and that it is the one that was listed, the memory it may hold on its way, and whether a
refusal can still be answered. Refuses to know logins and removals, and what is verified before it is sent.
RFC 1939 §5 RETR, §7 TOP; RFC 2449 §8, RFC 3206.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from service.mail.allowances import DailyOctets
from service.mail.maildrop import OpenMaildrop
from service.mail.places import Places
from service.mail.prefetch import Prefetch
from service.mail.retrieval import WHOLE_OCTETS
from service.model.ending import Ending
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal
from service.net.outlet import SLICE, CutError, Outlet
from service.net.pop3_record import Record
from service.net.pop3_sending import AT_ONCE_OCTETS, send_message, whole_message
from service.net.pop3_service import Pop3Service
from service.net.pop3_turns import SessionTurns
from service.protocol.pop3 import effects
from service.protocol.pop3.session import Session
from service.telemetry import levels, spans

Pieces = Callable[[StoredMessage, float], AsyncGenerator[bytes, None]]
"""The octets of a message for whose place and memory so many seconds were waited."""


class Retrieving:
    """Sends the messages of one session, once it is logged in."""

    __slots__ = ("_day", "_held", "_outlet", "_prefetch", "_record", "_service", "_session", "_turns")

    def __init__(
        self, service: Pop3Service, session: Session, outlet: Outlet, record: Record, turns: SessionTurns
    ) -> None:
        self._service = service
        self._session = session
        self._outlet = outlet
        self._record = record
        self._turns = turns
        self._held: OpenMaildrop | None = None
        self._prefetch: Prefetch | None = None
        self._day: DailyOctets | None = None
        """What is counted, where a policy bounds it."""

    @property
    def limited(self) -> bool:
        """Whether what is sent counts against a bound for the day, so that `close` has something to tell."""
        return self._day is not None

    def open(self, held: OpenMaildrop) -> None:
        """Send messages of this maildrop from now on."""
        self._held = held
        day = DailyOctets(self._service.allowances, held.key, held.policy)
        self._day = day if day.limited else None

    def clear(self) -> None:
        """Drop what was fetched ahead."""
        if self._prefetch is not None:
            self._prefetch.clear()
            self._prefetch = None

    async def close(self) -> None:
        """Tell what was sent in the day."""
        if self._day is not None:
            await self._day.close()

    async def retrieve(self, effect: effects.Retrieve) -> None:
        """Send a message whole."""
        prefetch = self._ahead()

        async def pieces(message: StoredMessage, waited: float) -> AsyncGenerator[bytes, None]:
            began = time.monotonic()
            fetched = await prefetch.take(effect.sequence) or prefetch.at_hand(message)
            waited += time.monotonic() - began
            prefetch.ahead_of(effect.sequence, effect.upcoming)
            if fetched is not None:
                spans.note(prefetched=True)
                yield fetched
                return
            async with aclosing(self._service.retrieval.after(waited).pieces(message)) as stored:
                async for piece in stored:
                    yield piece
                    self._record.sent(self._outlet.octets)

        if await self._send("RETR", effect, pieces, None):
            self._record.retrieved()

    def retrieve_at_once(self, effect: effects.Retrieve) -> bool:
        """Send a short message that was fetched ahead; False, and nothing done, where anything must be waited for."""
        prefetch = self._prefetch
        if prefetch is None or self.limited:
            return False
        message = prefetch.places.known(effect.sequence)
        if message is None or not self._lists(effect, message):
            return False
        octets = prefetch.take_ready(message, AT_ONCE_OCTETS)
        if octets is None:
            return False
        with self._record.trace.step("RETR") as span:
            span.note(prefetched=True, octets=len(octets))
            prefetch.ahead_of(effect.sequence, effect.upcoming)
        self._outlet.write(whole_message(message, octets))
        self._record.sent(self._outlet.octets)
        self._session.retrieved()
        self._record.retrieved()
        return True

    async def top(self, effect: effects.Top) -> None:
        """Send a header and some lines of the body; only the header's octets are read where that is all."""
        lines, retrieval = effect.lines, self._service.retrieval
        if await self._send("TOP", effect, lambda message, waited: retrieval.after(waited).top(message, lines), lines):
            self._record.topped()

    async def _send(
        self,
        verb: str,
        effect: effects.Retrieve | effects.Top,
        pieces: Pieces,
        lines: int | None,
    ) -> bool:
        """Send a message, or its header and `lines` lines; whether it was sent rather than refused."""
        began, sent = time.monotonic(), self._outlet.octets
        try:
            async with self._within_the_day():
                asked = time.monotonic()
                message = await self._located(effect)
                async with self._memory(message):
                    waited = time.monotonic() - asked
                    await send_message(self._outlet, message, pieces(message, waited), lines)
        except Refusal as refusal:
            if self._outlet.octets == sent:
                levels.retrieval(refusal.reason.value)
                refuse(self._record, self._session, refusal)
                return False
            self._record.failed(verb, time.monotonic() - began, refusal)
            raise CutError(Ending.STORE, refusal.cause) from refusal
        except ConnectionError:
            self._record.cut(verb, time.monotonic() - began)
            raise
        spans.note(octets=self._outlet.octets - sent)
        self._record.sent(self._outlet.octets)
        self._session.retrieved()
        return True

    @asynccontextmanager
    async def _within_the_day(self) -> AsyncIterator[None]:
        """Count what is sent against what the maildrop may retrieve in a day. Raises Refusal(DAY_USED_UP)."""
        if self._day is None:
            yield
            return
        await self._day.admit()
        sent = self._outlet.octets
        try:
            yield
        finally:
            self._day.sent(self._outlet.octets - sent)

    async def _located(self, effect: effects.Retrieve | effects.Top) -> StoredMessage:
        """Where the message is that was listed. Raises Refusal."""
        message = await self._ahead().places.of(effect.sequence, effect.upcoming)
        if not self._lists(effect, message):
            raise Refusal(Reason.UNAVAILABLE, f"message {effect.sequence} is not the one that was listed")
        return message

    def _lists(self, effect: effects.Retrieve | effects.Top, message: StoredMessage) -> bool:
        # A database that came back without its last writes gives their sequence numbers out again.
        return self._session.marks.listing.lists(effect.number, message.unique_id)

    @asynccontextmanager
    async def _memory(self, message: StoredMessage) -> AsyncIterator[None]:
        """Hold this message's share of the process's memory.

        All of a small one; of a large one a part and as much on its way, and one more where the last is held back.
        """
        parts = 3 if message.blob.beginnings is None else 2
        octets = min(message.octets, parts * WHOLE_OCTETS + SLICE)
        await self._service.memory.take(octets, self._turns.whose)
        try:
            yield
        finally:
            self._service.memory.give_back(octets, self._turns.whose)

    def _ahead(self) -> Prefetch:
        if self._prefetch is None:
            held = self._held
            if held is None:
                raise AssertionError("a retrieval without a maildrop")
            places = Places(held.kept or self._service.index, held.key)
            reading = self._service.spare or self._service.retrieval
            self._prefetch = Prefetch(places, reading, self._service.ahead, self._turns.whose)
        return self._prefetch


def refuse(record: Record, session: Session, refusal: Refusal) -> None:
    """Answer what was to be done with a refusal."""
    record.refused("refused", refusal)
    session.refused(refusal.reason, refusal.wait, final=refusal.final)
