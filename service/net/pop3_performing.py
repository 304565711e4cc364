"""How the effects of a POP3 session are performed: each by one method, through the use cases.

Owns what happens between an effect and its outcome. Refuses to know sockets beyond the outlet, and
the order of commands, which is the session's.
RFC 1939 §4 to §7, RFC 2449 §8, RFC 3206.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from service.mail.allowances import DailyOctets
from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.places import Places
from service.mail.prefetch import Prefetch
from service.mail.retrieval import WHOLE_OCTETS
from service.model.ending import Ending
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal
from service.net.outlet import CutError, Outlet
from service.net.pop3_delay import rest_of_delay
from service.net.pop3_listing import HeldListing
from service.net.pop3_record import Record
from service.net.pop3_sending import AT_ONCE_OCTETS, send_message, whole_message
from service.net.pop3_service import Pop3Service
from service.net.pop3_turns import SessionTurns
from service.protocol.pop3 import effects
from service.protocol.pop3.session import Session
from service.telemetry import levels, metrics, spans

Pieces = Callable[[StoredMessage], AsyncGenerator[bytes, None]]


class Performer:
    """Performs the effects of one session; what a login opened stays here until `close`."""

    def __init__(
        self, service: Pop3Service, session: Session, outlet: Outlet, record: Record, turns: SessionTurns
    ) -> None:
        self._service = service
        self._session = session
        self._outlet = outlet
        self._record = record
        self._maildrop: OpenMaildrop | None = None
        self._prefetch: Prefetch | None = None
        self._day: DailyOctets | None = None
        self._listing = HeldListing(service.listings, lambda: turns.whose)
        self._looked_up_by: str | None = None
        """The address of a client whose exchange had its look-up and hasn't come to a login yet."""
        self._turns = turns

    async def log_in(self, effect: effects.LogIn, client: str, on_lost: Callable[[], None]) -> None:
        """Verify the proof and open the maildrop."""
        began = time.monotonic()
        self._looked_up_by = None
        attempt = Attempt(effect.proof, effect.mechanism, self._record.session_id, client, self._record.listener)
        result = "ok"
        try:
            held = await self._admitted(await self._service.login(attempt, on_lost))
        except Refusal as refusal:
            result = refusal.reason.value
            # A name that is nobody's may be a password, typed into the wrong field (G17).
            name = refusal.account.address if refusal.account else None
            self._record.refused("login refused", refusal, client=client, name=name, mechanism=effect.mechanism)
            self._record.tidings.refused(effect.mechanism, effect.proof.name if effect.proof else "", refusal)
            if refusal.reason is Reason.CREDENTIALS:
                with spans.step("failure delay"):
                    await asyncio.sleep(rest_of_delay(time.monotonic() - began, self._service.options.failure_delay))
            self._session.refused(refusal.reason, final=refusal.final)
        else:
            self._opened(held, effect.mechanism)
        self._record.tried(effect.mechanism, result, time.monotonic() - began)

    async def fetch_keys(self, effect: effects.FetchKeys, client: str) -> None:
        """Get the keys for a name, and a nonce."""
        if self._service.scram is None:
            raise AssertionError("an exchange with keys where none is offered")
        await self._count_abandoned()
        try:
            keys, nonce = await self._service.scram(effect.name, client, effect.mechanism)
        except Refusal as refusal:
            self._record.tidings.refused(effect.mechanism, effect.name, refusal)
            self._refuse(refusal)
        else:
            self._looked_up_by = client
            self._session.keys_fetched(keys, nonce)

    async def load_listing(self) -> None:
        """Load the listing frozen at login; a fault refuses, and never shortens it (G14)."""
        held = self._held()
        try:
            listing = await self._listing.load(held, self._service.index)
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._session.listing_loaded(held.numbered(listing))
            self._service.listed(held, listing)

    async def retrieve(self, effect: effects.Retrieve) -> None:
        """Send a message whole."""
        prefetch = self._ahead()

        async def pieces(message: StoredMessage) -> AsyncGenerator[bytes, None]:
            fetched = await prefetch.take(effect.sequence) or prefetch.at_hand(message)
            prefetch.ahead_of(effect.sequence, effect.upcoming)
            if fetched is not None:
                spans.note(prefetched=True)
                yield fetched
                return
            async with aclosing(self._service.retrieval.pieces(message)) as stored:
                async for piece in stored:
                    yield piece

        if await self._send("RETR", effect, pieces, None):
            self._record.retrieved()

    def retrieve_at_once(self, effect: effects.Retrieve) -> bool:
        """Send a short message that was fetched ahead; False, and nothing done, where anything must be waited for."""
        prefetch, day = self._prefetch, self._day
        if prefetch is None or day is None or day.limited:
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
        self._session.retrieved()
        self._record.retrieved()
        return True

    async def top(self, effect: effects.Top) -> None:
        """Send a header and some lines of the body; only the header's octets are read where that is all."""
        if await self._send("TOP", effect, partial(self._service.retrieval.top, lines=effect.lines), effect.lines):
            self._record.topped()

    async def send_listing(self, effect: effects.SendListing) -> None:
        """Send a long listing slice by slice; other sessions run between two slices."""
        for piece in effect.slices:
            await self._outlet.send(piece)
            await asyncio.sleep(0)
        self._session.listing_sent()

    async def update(self, effect: effects.Update) -> None:
        """UPDATE: remove what is marked, release the maildrop, then answer once (RFC 1939 §6)."""
        held = self._held()
        self._maildrop = None
        self._clear_ahead()
        try:
            await self._service.update(held, effect.sequences, effect.retrieved)
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._record.removed = len(effect.sequences)
            if effect.sequences:
                self._record.tidings.removed(held, len(effect.sequences))
            metrics.messages_removed(len(effect.sequences))
            self._session.updated()

    def closed_at_once(self) -> bool:
        """Do what `close` does if it needs to wait for nothing; whether it was done."""
        counted = self._looked_up_by is not None or (self._day is not None and self._day.limited)
        if counted or self._maildrop is not None:
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        self._clear_ahead()
        self._listing.forget()
        self._turns.leave()

    async def close(self) -> None:
        """Give everything back without UPDATE (G2, G6)."""
        held, self._maildrop = self._maildrop, None
        self._let_go()
        if self._day is not None:
            await self._day.close()
        if held is not None:
            await self._service.update.close(held)
        await self._count_abandoned()

    async def _count_abandoned(self) -> None:
        client, self._looked_up_by = self._looked_up_by, None
        if client is not None:
            await self._service.login.guard.abandoned(client)

    async def _admitted(self, held: OpenMaildrop) -> OpenMaildrop:
        """`held`, if its tenant has a place left in this process. Raises Refusal(OVERLOADED), and holds nothing."""
        try:
            await self._turns.enter(held)
        except Refusal:
            await self._service.update.close(held)
            raise
        return held

    def _opened(self, held: OpenMaildrop, mechanism: str) -> None:
        self._maildrop = held
        self._day = DailyOctets(self._service.allowances, held.key, held.policy)
        self._record.logged_in(held, mechanism)
        if not held.guarded:
            self._record.log.warning("no lease could be had; the fence alone guards this maildrop")
        if held.kept is not None:
            self._record.log.warning("Postgres is away: what was shown last is read from memory")
        counts = held.counts_retrieval
        self._session.logged_in(held.drop, held.policy, counts_retrieval=counts, read_only=held.kept is not None)

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
                message = await self._located(effect)
                async with self._memory(message):
                    await send_message(self._outlet, message, pieces(message), lines)
        except Refusal as refusal:
            if self._outlet.octets == sent:
                levels.retrieval(refusal.reason.value)
                self._refuse(refusal)
                return False
            self._record.cut(verb, time.monotonic() - began, refusal)
            raise CutError(Ending.STORE, refusal.cause) from refusal
        spans.note(octets=self._outlet.octets - sent)
        self._session.retrieved()
        return True

    @asynccontextmanager
    async def _within_the_day(self) -> AsyncIterator[None]:
        """Count what is sent against what the maildrop may retrieve in a day. Raises Refusal(DAY_USED_UP)."""
        if self._day is None:
            raise AssertionError("a retrieval without a maildrop")
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
        """Hold this message's share of the process's memory: all of a small one, two pieces of a large one."""
        octets = min(message.octets, 2 * WHOLE_OCTETS)
        await self._service.memory.take(octets, self._turns.whose)
        try:
            yield
        finally:
            self._service.memory.give_back(octets, self._turns.whose)

    def _refuse(self, refusal: Refusal) -> None:
        self._record.refused("refused", refusal)
        self._session.refused(refusal.reason, refusal.wait, final=refusal.final)

    def _held(self) -> OpenMaildrop:
        if self._maildrop is None:
            raise AssertionError("an effect of TRANSACTION without a maildrop")
        return self._maildrop

    def _ahead(self) -> Prefetch:
        if self._prefetch is None:
            held = self._held()
            places = Places(held.kept or self._service.index, held.key)
            reading = self._service.spare or self._service.retrieval
            self._prefetch = Prefetch(places, reading, self._service.ahead, self._turns.whose)
        return self._prefetch

    def _clear_ahead(self) -> None:
        if self._prefetch is not None:
            self._prefetch.clear()
            self._prefetch = None
