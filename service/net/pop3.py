"""One POP3 connection: moves octets between a socket and a session, and has its effects performed.

Owns the loop, the deadlines and the end. Refuses to know the grammar and the rules: the session says
what to send and what to do, one `match` hands each effect on. Commands that don't wait run at once, and
the responses to one read leave in one write.
RFC 1939 §3 (autologout), RFC 2595 §4 (STLS), RFC 8314 §3 (implicit TLS).
"""

import asyncio
import time
from typing import cast

from service.model.refusal import Reason
from service.net.connection import Connection
from service.net.deadline import Deadline
from service.net.outlet import Outlet
from service.net.peer import Peer
from service.net.pop3_performing import Performer, ending_of
from service.net.pop3_record import Record
from service.net.pop3_service import Pop3Service
from service.net.tls import may_be_half_closed, start_tls, tls_facts
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.commands import State
from service.protocol.pop3.effects import Effect, Ending
from service.protocol.pop3.session import Session
from service.telemetry import metrics

LOST_SECONDS = 5.0
"""How long what is in the middle may take once the maildrop is lost; G5 allows 10 to the close."""


class Pop3Connection(Connection):
    """A client's connection, from accept to the last octet."""

    def __init__(self, service: Pop3Service, peer: Peer) -> None:
        super().__init__()
        self._service = service
        self._peer = peer
        self._session = Session(self._service.surroundings(self._peer))
        self._outlet = Outlet(service.options.stall)
        self._record = Record(peer.listener)
        self._performer = Performer(service, self._session, self._outlet, self._record)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: Deadline | None = None
        self._ending: Ending | None = None
        self._dismissal: tuple[Ending, bytes] | None = None
        self._since = 0.0
        self._reading = True
        self._handshaking = False
        self._eof = False
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say why not."""
        self._transport = cast("asyncio.Transport", transport)
        self._outlet.open(self._transport, self._bound)
        self._deadline = Deadline(self._expired)
        self._secured()
        self._session.around = self._service.surroundings(self._peer)
        self._record.opened()
        if self._dismissal is not None:
            self._dismiss()
            return
        self._outlet.write(self._session.greet())
        self._await_command()

    def data_received(self, data: bytes) -> None:
        """Take octets; run the commands in them unless one is being performed."""
        self._record.octets_in += len(data)
        self._session.receive(data)
        if self._task is None:
            self._since = time.monotonic()
            self._run()
        self._throttle()

    def eof_received(self) -> bool:
        """The client sends no more: answer what it sent, then close. Without QUIT nothing is removed (G2)."""
        self._eof = True
        if self._task is None and not self._outlet.paused:
            self._end_with(Ending.VANISHED)
            return False
        return may_be_half_closed(self._transport)

    def pause_writing(self) -> None:
        """The client doesn't read: stop running its commands, and give it the stall deadline."""
        self._outlet.pause()
        if self._task is None and self._deadline is not None:
            self._deadline.set(self._service.options.stall)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._outlet.resume()
        if self._task is None:
            self._await_command()
            self._run()
            self._throttle()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed. What is being performed goes on to its end, then everything is given back."""
        self._end_with(Ending.VANISHED)
        self._transport = None
        self._outlet.lost()
        if self._deadline is not None:
            self._deadline.close()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._finish())

    def shed(self) -> None:
        """Make room: refuse as transient and close."""
        self._leave(Ending.SHED, responses.BUSY_GREETING)

    def drain(self) -> None:
        """Refuse a client that isn't logged in; let the others come to their QUIT within the grace."""
        if not self.authenticated:
            self._leave(Ending.DRAINED, responses.DRAINING)

    def end(self) -> None:
        """Close now: no UPDATE, not another octet."""
        self._abort(Ending.DRAINED)

    def _run(self) -> None:
        """Run commands until one waits, the client doesn't read, or none is left."""
        while self._transport is not None and self._ending is None and not self._outlet.paused:
            step = self._session.advance()
            self._record.answered(self._session, time.monotonic() - self._since)
            if isinstance(step.effect, effects.StartTls):
                # Nothing may be read in clear between the response and the handshake (RFC 2595 §4).
                self._handshaking = True
                self._transport.pause_reading()
            self._outlet.write(step.output)
            if step.effect is not None:
                self._begin(step.effect)
                return
            if step.commands:
                self._await_command()
            if not step.more:
                break
        if self._eof and self._ending is None and not self._outlet.paused:
            self._close(Ending.VANISHED)

    def _begin(self, effect: Effect) -> None:
        if self._deadline is not None:
            self._deadline.clear()
        if isinstance(effect, effects.Close):
            self._close(effect.ending)
            return
        self._since = time.monotonic()
        context = self._record.log.context()
        self._task = asyncio.get_running_loop().create_task(self._perform(effect), context=context)
        self._task.add_done_callback(self._performed)

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case effects.LogIn():
                await self._performer.log_in(effect, self._peer.address, self._lost)
                self.authenticated = self._session.state is State.TRANSACTION
                self._outlet.bound(self._bound)
            case effects.FetchKeys():
                await self._performer.fetch_keys(effect)
            case effects.LoadListing():
                await self._performer.load_listing()
            case effects.Retrieve():
                await self._performer.retrieve(effect)
            case effects.Top():
                await self._performer.top(effect)
            case effects.SendListing():
                await self._performer.send_listing(effect)
            case effects.Update():
                await self._performer.update(effect)
            case effects.StartTls():
                await self._start_tls()

    def _performed(self, task: "asyncio.Task[None]") -> None:
        """An effect came to its end: go on, or give everything back."""
        self._task = None
        now = time.monotonic()
        self._record.answered(self._session, now - self._since)
        self._since = now
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._give_up(error)
        if self._transport is None:
            self._task = asyncio.get_running_loop().create_task(self._finish())
        elif self._dismissal is not None and self._session.state is not State.UPDATE:
            self._dismiss()
        else:
            self._await_command()
            self._run()
            self._throttle()

    def _give_up(self, error: BaseException) -> None:
        """An effect broke off: cut the connection."""
        if not isinstance(error, ConnectionError):
            self._record.log.warning("fault", exc_info=error)
        self._abort(ending_of(error))

    async def _start_tls(self) -> None:
        if self._transport is None or self._service.tls is None:
            raise ConnectionResetError("the client left before the handshake")
        try:
            secured = await start_tls(self._transport, self, self._service.tls, self._service.options.handshake)
        except OSError as error:
            self._end_with(Ending.TLS)
            raise ConnectionResetError("the handshake failed") from error
        self._transport = secured
        self._handshaking, self._reading = False, True
        self._outlet.open(secured, self._bound)
        self._secured()
        self._session.tls_started(self._service.surroundings(self._peer))

    def _secured(self) -> None:
        facts = tls_facts(self._transport) if self._transport else None
        if facts is not None:
            self._peer = self._peer.secured(facts)
            metrics.tls_established(self._peer.listener, facts.version)

    @property
    def _bound(self) -> int:
        options = self._service.options
        return options.buffered if self.authenticated else options.buffered_stranger

    async def _finish(self) -> None:
        await self._performer.close()
        if not self._finished:
            self._finished = True
            self._record.ended(self._peer, self._ending or Ending.VANISHED, self._outlet.octets)
            self.gone()

    def _await_command(self) -> None:
        """RFC 1939 §3: "The receipt of any command from the client during that interval should suffice to reset
        the autologout timer." Octets that end no line don't.
        """
        if self._deadline is not None:
            options = self._service.options
            self._deadline.set(options.stall if self._outlet.paused else options.autologout)

    def _expired(self) -> None:
        """RFC 1939 §3: "the session does NOT enter the UPDATE state--the server should close the TCP connection
        without removing any messages or sending any response to the client."
        """
        if self._outlet.paused or self._ending is not None:
            self._abort(Ending.STALLED)
        else:
            self._close(Ending.AUTOLOGOUT)

    def _throttle(self) -> None:
        """Read no further while what was read waits to run."""
        if self._transport is None or self._handshaking:
            return
        full = self._session.buffered > self._bound or self._outlet.paused
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _lost(self) -> None:
        """Another session took the maildrop: say so, change nothing, close (G5)."""
        self._leave(Ending.LOST, responses.refusal(Reason.LOST))
        if self._task is not None:
            asyncio.get_running_loop().call_later(LOST_SECONDS, self._abort_unless_updating)

    def _abort_unless_updating(self) -> None:
        if self._session.state is not State.UPDATE:
            self._abort(Ending.LOST)

    def _leave(self, ending: Ending, word: bytes) -> None:
        """End the session with `word`, now or once what is in the middle is done."""
        if self._dismissal is None:
            self._dismissal = (ending, word)
        if self._task is None and self._transport is not None:
            self._dismiss()

    def _dismiss(self) -> None:
        if self._dismissal is not None and self._ending is None:
            ending, word = self._dismissal
            self._outlet.write(word)
            self._close(ending)

    def _close(self, ending: Ending) -> None:
        """Close once everything written is sent, close_notify included (RFC 8314 §3.4)."""
        self._end_with(ending)
        if self._transport is not None and self._deadline is not None:
            self._deadline.set(self._service.options.stall)
            self._transport.close()

    def _abort(self, ending: Ending) -> None:
        self._end_with(ending)
        if self._transport is not None:
            self._transport.abort()

    def _end_with(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
