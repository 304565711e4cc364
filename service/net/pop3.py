"""One POP3 connection: moves octets between a socket and a session, and has its effects performed.

Owns the loop over the session's steps and what a lost maildrop means. Refuses to know the grammar and the rules:
the session says what to send and what to do, a `match` hands each effect on. Commands that don't wait run at
once, and the responses to one read leave in one write. Transport, deadlines and the end are `Conversation`'s.
RFC 1939 §3 (autologout), RFC 2595 §4 (STLS), RFC 8314 §3 (implicit TLS).
"""

from collections.abc import Coroutine
from contextvars import Context
from functools import partial
from typing import Any

from service.model.ending import Ending
from service.model.refusal import Reason
from service.net.conversation import Conversation
from service.net.peer import Peer
from service.net.pop3_performing import Performer
from service.net.pop3_record import Record
from service.net.pop3_service import Pop3Service
from service.net.pop3_steps import STEPS
from service.net.pop3_turns import SessionTurns
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.commands import State
from service.protocol.pop3.effects import Effect
from service.protocol.pop3.session import Session
from service.telemetry.session_trace import NO_TRACE

WAITING_OCTETS = 16 * 1024
"""Octets of commands that may wait, of any client: some thousand are enough to pipeline, and one read brings more."""
LOST_SECONDS = 5.0
"""How long what is in the middle may take once the maildrop is lost; G5 allows 10 to the close."""


class Pop3Connection(Conversation):
    """A client's connection, from accept to the last octet."""

    _turns: SessionTurns

    def __init__(self, service: Pop3Service, peer: Peer) -> None:
        super().__init__(peer, service.options.patience, service.tls)
        self._service = service
        self._session = Session(peer.private, partial(service.surroundings, peer))
        self._record = Record(peer.listener, service.events, peer, service.tracer)
        self._turns = SessionTurns(service.fairness, peer.address)
        self._performer = Performer(service, self._session, self._outlet, self._record, self._turns)

    def shed(self) -> None:
        """Make room: refuse as transient and close."""
        self._say_farewell(Ending.SHED, responses.BUSY_GREETING)

    def drain(self) -> None:
        """Refuse a client that isn't logged in; let the others come to their QUIT within the grace."""
        if not self.authenticated:
            self._say_farewell(Ending.DRAINED, responses.DRAINING)

    @property
    def _bound(self) -> int:
        options = self._service.options
        return options.buffered if self.authenticated else options.buffered_stranger

    def _waiting(self) -> int:
        return self._session.lines.held

    @property
    def _most_waiting(self) -> int:
        return min(self._bound, WAITING_OCTETS)

    def _opened(self) -> None:
        if self._peer is not self._record.peer:
            self._record.peer = self._peer
            self._session.come_to(self._peer.private, partial(self._service.surroundings, self._peer))
        greets = self._farewell is None and self._ending is None
        self._record.opened(greets)
        if greets:
            self._outlet.write(self._session.greet())
        else:
            self._leave()

    def data_received(self, data: bytes) -> None:
        """Take octets, and run the commands in them."""
        self._record.octets_in += len(data)
        self._session.lines.receive(data)
        self._hear()

    def _run(self) -> bytes:
        session = self._session
        output, effect, commands, more = session.advance()
        if commands:
            self._record.answered(session, self._since)
        if effect is not None:
            self._start(effect, output)
            return session.lines.octets
        if commands:
            # RFC 1939 §3: "The receipt of any command from the client during that interval should suffice to
            # reset the autologout timer." Octets that end no line don't.
            self._heard = max(self._heard, self._since)
        if output:
            self._outlet.write(output)
        if more:
            # A long train of commands is heard as long as it lasts.
            self._await_octets()
            self._let_others_first()
        elif self._heard_all and not self._outlet.paused:
            self._close(Ending.VANISHED)
        return session.lines.octets

    def _start(self, effect: Effect, output: bytes) -> None:
        """Send what comes before an effect, and have it performed."""
        if isinstance(effect, effects.Close):
            self._outlet.write_last(output)
            self._close(effect.ending)
            return
        if isinstance(effect, effects.StartTls):
            # Nothing may be read in clear between the response and the handshake (RFC 2595 §4).
            self._stop_reading_clear()
        if output:
            self._outlet.write(output)
        if not (isinstance(effect, effects.Retrieve) and self._at_once(effect)):
            self._begin(self._perform(effect))

    def _at_once(self, effect: effects.Retrieve) -> bool:
        """Send a message that need not be waited for, without a task; whether it was such a one."""
        if not self._context().run(self._retrieved_at_once, effect):
            return False
        self._counted()
        self._await_octets()
        if self._session.buffered or self._heard_all:
            self._let_others_first()
        return True

    def _retrieved_at_once(self, effect: effects.Retrieve) -> bool:
        self._turns.stand_for()
        return self._performer.messages.retrieve_at_once(effect)

    async def _perform(self, effect: Effect) -> None:
        """Perform an effect, step by step in this session's turns."""
        work = self._work_of(effect)
        if self._record.trace is not NO_TRACE:
            work = self._traced(effect, work)
        await self._turns.steps(work)
        self.authenticated = self._record.maildrop is not None

    async def _traced(self, effect: Effect, work: Coroutine[Any, Any, None]) -> None:
        with self._record.trace.step(STEPS[type(effect)]):
            await work

    def _work_of(self, effect: Effect) -> Coroutine[Any, Any, None]:
        """What an effect comes to. Where it gives a name, that tells on whose behalf other systems are asked."""
        match effect:
            case effects.LogIn():
                return self._performer.log_in(effect, self._peer.address, self._lost)
            case effects.Update():
                self._turns.stand_for()
                return self._performer.update(effect)
            case effects.FetchKeys():
                return self._performer.fetch_keys(effect, self._peer.address)
        self._turns.stand_for()
        return self._sending(effect)

    def _sending(self, effect: Effect) -> Coroutine[Any, Any, None]:
        match effect:
            case effects.Retrieve():
                return self._performer.messages.retrieve(effect)
            case effects.Top():
                return self._performer.messages.top(effect)
            case effects.LoadListing():
                # Who looks whether there is mail, and goes, is sent no more than a stranger.
                self._outlet.bound(self._bound)
                return self._performer.load_listing()
            case effects.SendListing():
                return self._performer.send_listing(effect)
            case effects.StartTls():
                return self._start_tls()
        raise AssertionError("an effect that waits for nothing")

    def _counted(self) -> None:
        self._record.answered(self._session, self._since)

    def _ending_of(self, error: BaseException) -> Ending:
        if not isinstance(error, ConnectionError):
            self._record.log.warning("fault", exc_info=error)
        return super()._ending_of(error)

    def _may_leave(self) -> bool:
        """QUIT is answered by its own outcome, whatever else would end the session (G3)."""
        return self._session.state is not State.UPDATE

    def _tls_started(self) -> None:
        self._record.peer = self._peer
        self._session.tls_started(self._peer.private, partial(self._service.surroundings, self._peer))

    def _idle(self) -> None:
        """RFC 1939 §3: "the session does NOT enter the UPDATE state--the server should close the TCP connection
        without removing any messages or sending any response to the client."
        """
        self._close(Ending.AUTOLOGOUT)

    def _context(self) -> Context:
        return self._record.log.context

    def _over(self) -> None:
        """The maildrop is free at once, however long the client takes to hear of it (G6)."""
        if self._task is None and self._performer.holds:
            freeing = self._turns.run(self._performer.free())
            self._task = self._loop.create_task(freeing, context=self._context())
            self._task.add_done_callback(self._performed)

    async def _give_back(self) -> None:
        await self._performer.close()

    def _given_back(self) -> bool:
        return self._performer.closed_at_once()

    def _ended(self, ending: Ending) -> None:
        self._record.ended(self._peer, ending, self._outlet.octets)

    def _lost(self) -> None:
        """Another session took the maildrop: say so, change nothing, close (G5)."""
        self._say_farewell(Ending.LOST, responses.refusal(Reason.LOST))
        if self._task is not None:
            self._loop.call_later(LOST_SECONDS, self._abort_unless_updating)

    def _abort_unless_updating(self) -> None:
        if self._session.state is not State.UPDATE:
            self._abort(Ending.LOST)
