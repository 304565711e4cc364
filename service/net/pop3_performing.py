"""How the effects of a POP3 session are performed: each by one method, through the use cases.

Owns what happens between an effect and its outcome. Refuses to know sockets beyond the outlet, and
the order of commands, which is the session's.
RFC 1939 §4 to §7, RFC 2449 §8, RFC 3206.
"""

import asyncio
import time
from collections.abc import Callable

from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.model.refusal import Reason, Refusal
from service.net.outlet import Outlet
from service.net.pop3_delay import chance, rest_of_delay
from service.net.pop3_listing import HeldListing
from service.net.pop3_record import Record
from service.net.pop3_retrieving import Retrieving, refuse
from service.net.pop3_service import Pop3Service
from service.net.pop3_turns import SessionTurns
from service.protocol.pop3 import effects
from service.protocol.pop3.session import Session
from service.telemetry import levels, spans

RETRIEVALS = frozenset({"RETR", "TOP"})
"""The commands whose failures count as failed retrievals, also where it is the listing that can't be had."""


class Performer:
    """Performs the effects of one session; what a login opened stays here until `close`."""

    __slots__ = (
        "_listing", "_looked_up_by", "_maildrop", "_messages", "_outlet", "_record", "_service", "_session", "_turns",
    )  # fmt: skip

    def __init__(
        self, service: Pop3Service, session: Session, outlet: Outlet, record: Record, turns: SessionTurns
    ) -> None:
        self._service = service
        self._session = session
        self._outlet = outlet
        self._record = record
        self._maildrop: OpenMaildrop | None = None
        self._messages: Retrieving | None = None
        self._listing: HeldListing | None = None
        self._looked_up_by: str | None = None
        """The address of a client whose exchange had its look-up and hasn't come to a login yet."""
        self._turns = turns

    @property
    def messages(self) -> Retrieving:
        """What sends the maildrop's messages; many a session asks for none."""
        if self._messages is None:
            messages = Retrieving(self._service, self._session, self._outlet, self._record, self._turns)
            messages.open(self._held())
            self._messages = messages
        return self._messages

    async def log_in(self, effect: effects.LogIn, client: str, on_lost: Callable[[], None]) -> None:
        """Verify the proof and open the maildrop."""
        name = effect.proof.name if effect.proof else ""
        if not self._turns.stood_for(name):
            await self._turns.find(name)
        began = time.monotonic()
        self._looked_up_by = None
        attempt = Attempt(effect.proof, effect.mechanism, self._record.session_id, client, self._record.listener)
        result = "ok"
        try:
            held = await self._service.login(attempt, on_lost)
            if not self._turns.enter(held):
                await self._wait_to_enter(held)
        except Refusal as refusal:
            result = refusal.reason.value
            self._record.login_refused(effect.mechanism, name, client, refusal)
            if refusal.reason is Reason.CREDENTIALS:
                delay = self._service.options.failure_delay
                with spans.step("failure delay"):
                    await asyncio.sleep(rest_of_delay(time.monotonic() - began, delay, chance()))
            self._session.refused(refusal.reason, final=refusal.final)
        else:
            self._opened(held)
        self._record.tried(effect.mechanism, result, time.monotonic() - began)

    async def fetch_keys(self, effect: effects.FetchKeys, client: str) -> None:
        """Get the keys for a name, and a nonce."""
        if self._service.scram is None:
            raise AssertionError("an exchange with keys where none is offered")
        if not self._turns.stood_for(effect.name):
            await self._turns.find(effect.name)
        began = time.monotonic()
        await self._count_abandoned()
        try:
            keys, nonce = await self._service.scram(effect.name, client, effect.mechanism)
        except Refusal as refusal:
            self._record.login_refused(effect.mechanism, effect.name, client, refusal)
            self._session.refused(refusal.reason, refusal.wait, final=refusal.final)
            self._record.tried(effect.mechanism, refusal.reason.value, time.monotonic() - began)
        else:
            self._looked_up_by = client
            self._session.keys_fetched(keys, nonce)

    async def load_listing(self) -> None:
        """Load the listing frozen at login; a fault refuses, and never shortens it (G14)."""
        held = self._held()
        if self._listing is None:
            self._listing = HeldListing(self._service.listings, self._turns)
        try:
            listing = await self._listing.load(held, self._service.index)
        except Refusal as refusal:
            if self._session.verb in RETRIEVALS:
                levels.retrieval(refusal.reason.value)
            refuse(self._record, self._session, refusal)
        else:
            self._session.listing_loaded(await held.numbered(listing))
            self._service.listed(held, listing)

    async def send_listing(self, effect: effects.SendListing) -> None:
        """Send a long listing slice by slice; other sessions run between two slices."""
        began = time.monotonic()
        try:
            for piece in effect.slices:
                await self._outlet.send(piece)
                await asyncio.sleep(0)
        except ConnectionError:
            self._record.cut(self._session.verb, time.monotonic() - began)
            raise
        self._record.sent(self._outlet.octets)
        self._session.listing_sent()

    async def update(self, effect: effects.Update) -> None:
        """UPDATE: remove what is marked, release the maildrop, then answer once (RFC 1939 §6)."""
        held = self._held()
        self._maildrop = None
        if self._messages is not None:
            self._messages.clear()
        try:
            await self._service.update(held, effect.sequences, effect.retrieved)
        except Refusal as refusal:
            refuse(self._record, self._session, refusal)
        else:
            if effect.sequences:
                self._record.removed(held, len(effect.sequences))
            self._session.updated()

    def closed_at_once(self) -> bool:
        """Do what `close` does if it needs to wait for nothing; whether it was done."""
        if self._looked_up_by is not None or self._maildrop is not None:
            return False
        if self._messages is not None and self._messages.limited:
            return False
        self._let_go()
        return True

    def _let_go(self) -> None:
        if self._messages is not None:
            self._messages.clear()
        if self._listing is not None:
            self._listing.forget()
        self._turns.leave()

    async def close(self) -> None:
        """Give everything back without UPDATE (G2, G6)."""
        self._let_go()
        if self._messages is not None:
            await self._messages.close()
        await self.free()
        await self._count_abandoned()

    @property
    def holds(self) -> bool:
        """Whether a maildrop is open."""
        return self._maildrop is not None

    async def free(self) -> None:
        """Give the maildrop back without UPDATE, if one is open."""
        held, self._maildrop = self._maildrop, None
        if held is not None:
            await self._service.update.close(held)

    async def _count_abandoned(self) -> None:
        client, self._looked_up_by = self._looked_up_by, None
        if client is not None:
            await self._service.login.guard.abandoned(client)

    async def _wait_to_enter(self, held: OpenMaildrop) -> None:
        """Have a place in this process where none was free. Raises Refusal(OVERLOADED), and holds nothing."""
        try:
            await self._turns.wait_to_enter()
        except Refusal:
            await self._service.update.close(held)
            raise

    def _opened(self, held: OpenMaildrop) -> None:
        self._maildrop = held
        self._record.logged_in(held)
        if not held.guarded:
            self._record.log.warning("no lease could be had; the fence alone guards this maildrop")
        if held.kept is not None:
            self._record.log.warning("Postgres is away: what was shown last is read from memory")
        counts = held.counts_retrieval
        self._session.logged_in(held.drop, held.policy, counts_retrieval=counts, read_only=held.kept is not None)

    def _held(self) -> OpenMaildrop:
        if self._maildrop is None:
            raise AssertionError("an effect of TRANSACTION without a maildrop")
        return self._maildrop
