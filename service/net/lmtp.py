"""One LMTP connection: moves octets between a socket and a session, and has its effects performed.

Owns the loop over the session's steps. Refuses to know the grammar and the rules: the session says what to send
and what to do. Text that the store has room for is passed on at once; whatever waits does so in a Task, and
meanwhile no more than a bound of octets is read. Transport, deadlines and the end are `Conversation`'s.
RFC 2033, RFC 5321 §4.5.3.2 (timeouts), §3.8 and §4.2.2 (421), RFC 3207 §4.
"""

import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from weakref import WeakMethod

from service.model.ending import Ending
from service.net.conversation import Conversation, Patience
from service.net.lmtp_performing import Performer
from service.net.lmtp_record import Record
from service.net.lmtp_service import LmtpService
from service.net.lmtp_train import Train
from service.net.lmtp_turns import LmtpTurns
from service.net.peer import Peer
from service.protocol.lmtp import effects, replies
from service.protocol.lmtp.effects import Effect, Step
from service.protocol.lmtp.session import LmtpSession

LONGEST = 0.001
"""Seconds for which commands run before others are let first: recipients that are known wait for nothing."""
GROUPED = frozenset({"MAIL", "RCPT"})


class LmtpConnection(Conversation):
    """A client's connection, from accept to the last octet."""

    _turns: LmtpTurns

    def __init__(self, service: LmtpService, peer: Peer) -> None:
        options = service.options
        super().__init__(peer, Patience(options.idle, options.stall, options.handshake), service.tls)
        self._service = service
        terms = replace(service.terms, starttls=peer.may_start_tls and service.tls is not None)
        self._session = LmtpSession(terms, peer.private)
        self._record = Record(peer.listener, peer.address, service.events, service.tracer)
        self._performer = Performer(service.delivery, self._session, self._record, _shed_of(self))
        self._performing = 0.0
        """Seconds that the last effect took, until its reply is counted."""
        self._train = Train()
        self._turns = LmtpTurns(service, peer.address, self._performer, self._train)

    def shed(self) -> None:
        """Make room: refuse as transient and close."""
        self._say_farewell(Ending.SHED, bytes(replies.OVERLOADED))

    def drain(self) -> None:
        """Close between transactions; the one in the middle is finished first.

        RFC 5321 §3.8: "An SMTP server MUST NOT intentionally close the connection under normal operational
        circumstances [...] except: [...] After detecting the need to shut down the SMTP service and returning a 421
        response code."
        """
        if self._transport is None:
            self._farewell = self._farewell or (Ending.DRAINED, bytes(replies.SHUTTING_DOWN))
        self._session.drain()
        if self._task is None and self._transport is not None:
            self._go_on()

    def end(self) -> None:
        """Say so and close now. What is being performed has an outcome of its own, which 421 would tell wrongly.

        RFC 5321 §3.8: "An SMTP server that is forcibly shut down via external means SHOULD attempt to send a line
        containing a 421 response code to the SMTP client before exiting."
        """
        if self._task is None and self._running:
            self._outlet.write(bytes(replies.SHUTTING_DOWN))
            self._close(Ending.DRAINED)
        else:
            super().end()

    @property
    def _bound(self) -> int:
        return self._service.options.buffered

    def _waiting(self) -> int:
        return self._session.buffered

    def _opened(self) -> None:
        self._record.opened()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take octets, and run what is in them."""
        self._record.octets_in += len(data)
        if self._session.in_text:
            self._await_octets()
        self._session.receive(data)
        self._hear()

    def _run(self) -> int:
        began = time.monotonic()
        while self._running:
            step = self._session.advance()
            seconds = self._performing + time.monotonic() - self._since
            self._record.answered(step.answered, seconds, self._outlet.octets)
            self._performing = 0.0
            if step.answered:
                self._train.answered(len(step.answered))
            if isinstance(step.effect, effects.StartTls):
                # RFC 3207 §4: the handshake follows the 220 directly, so nothing may be read in clear in between.
                self._stop_reading_clear()
            if isinstance(step.effect, effects.Resolve | effects.Begin) and _may_wait(step):
                # Both effects end in a reply, with which these leave.
                self._outlet.hold(step.output)
            else:
                self._outlet.write(step.output)
            if step.output:
                # Octets that end no command line are no progress.
                self._await_octets()
            if step.effect is None:
                self._pause(step.more)
                break
            if not self._at_once(step.effect):
                self._start(step.effect)
                break
            if self._session.buffered and (self._session.in_text or time.monotonic() - began > LONGEST):
                self._let_others_first()
                break
        return self._session.buffered

    def _at_once(self, effect: Effect) -> bool:
        """Perform an effect that needs to wait for nothing, without a task; whether it was such a one."""
        match effect:
            case effects.Store():
                return self._performer.store(effect)
            case effects.Resolve():
                known = self._context().run(self._performer.resolve_at_once, effect)
                self.authenticated = self.authenticated or known
                return known
            case effects.Begin():
                self._turns.whose = effect.envelope.recipients[0].key.tenant_id
                return self._context().run(self._performer.begin_at_once, effect, self._peer.address)
            case _:
                return False

    def _counted(self) -> None:
        self._performing = time.monotonic() - self._since

    def _pause(self, more: bool) -> None:
        """Nothing else can be run now: for want of octets, or because others are to be heard before there is `more`."""
        if more:
            self._let_others_first()
        elif self._heard_all:
            self._close(Ending.VANISHED)

    def _start(self, effect: Effect) -> None:
        if isinstance(effect, effects.Close):
            self._close(self._reason_to_close())
        else:
            self._begin(self._perform(effect))

    def _reason_to_close(self) -> Ending:
        if self._session.draining:
            return Ending.DRAINED
        return Ending.QUIT if self._record.last_verb == "QUIT" else Ending.VIOLATION

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case effects.Resolve():
                # Whoever has a valid recipient is an MTA with mail for us: it is never closed to make room.
                self.authenticated = await self._performer.resolve(effect) or self.authenticated
            case effects.Begin():
                await self._performer.begin(effect, self._peer.address)
            case effects.Store():
                await self._performer.room()
            case effects.Deliver():
                if self._service.long_texts is not None and not self._turns.is_long:
                    self._service.long_texts.short_came()
                self._train.text_came()
                await self._performer.deliver()
            case effects.Abandon():
                if effect.reason is not None:
                    self._train.text_came()
                await self._performer.abandon(effect)
            case effects.StartTls():
                await self._start_tls()

    def _ending_of(self, error: BaseException) -> Ending:
        if not isinstance(error, ConnectionError):
            self._record.log.warning("fault", exc_info=error)
        return super()._ending_of(error)

    def _tls_started(self) -> None:
        self._session.tls_started()

    def _idle(self) -> None:
        self._outlet.write(bytes(replies.IDLE))
        self._close(Ending.AUTOLOGOUT)

    def _context(self) -> Context:
        return self._record.log.context

    async def _give_back(self) -> None:
        await self._performer.close()

    def _ended(self, ending: Ending) -> None:
        self._record.ended(self._peer, ending, self._outlet.octets)


def _shed_of(connection: LmtpConnection) -> Callable[[], None]:
    """Its `shed`. In a ring, what a connection holds would outlive it until the collector comes."""
    known = WeakMethod(connection.shed)

    def shed() -> None:
        there = known()
        if there is not None:
            there()

    return shed


def _may_wait(step: Step) -> bool:
    """Whether all of its replies may leave together with the next one.

    RFC 2920 §3.2 has servers keep the replies to grouped commands, MAIL and RCPT among them, so that they can be sent
    as a unit, and forbids it for others, such as EHLO.
    """
    return all(reply.verb in GROUPED for reply in step.answered)
