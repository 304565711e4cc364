"""One LMTP connection: moves octets between a socket and a session, and has its effects performed.

Owns the loop, the deadlines and the end. Refuses to know the grammar and the rules: the session says what to
send and what to do. Text that the store has room for is passed on at once; whatever waits does so in a Task,
and meanwhile no more than a bound of octets is read.
RFC 2033, RFC 5321 §4.5.3.2 (timeouts), §3.8 and §4.2.2 (421), RFC 3207 §4.
"""

import asyncio
import time
from dataclasses import replace
from typing import cast

from service.net.connection import Connection
from service.net.deadline import Deadline
from service.net.lmtp_performing import Performer
from service.net.lmtp_record import Ending, Record
from service.net.lmtp_service import LmtpService
from service.net.outlet import Outlet
from service.net.peer import Peer
from service.net.tls import may_be_half_closed, start_tls, tls_facts
from service.protocol.lmtp import effects, replies
from service.protocol.lmtp.effects import Effect
from service.protocol.lmtp.replies import Reply
from service.protocol.lmtp.session import LmtpSession


class LmtpConnection(Connection):
    """A client's connection, from accept to the last octet."""

    def __init__(self, service: LmtpService, peer: Peer) -> None:
        super().__init__()
        self._service = service
        self._peer = peer
        terms = replace(service.terms, starttls=peer.may_start_tls and service.tls is not None)
        self._session = LmtpSession(terms, peer.private)
        self._outlet = Outlet(service.options.stall)
        self._record = Record(peer.listener)
        self._performer = Performer(service.delivery, self._session, self._record)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: Deadline | None = None
        self._ending: Ending | None = None
        self._farewell: tuple[Reply, Ending] | None = None
        self._read_at = 0.0
        self._reading = True
        self._handshaking = False
        self._heard_all = False
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say why not."""
        self._transport = cast("asyncio.Transport", transport)
        self._outlet.open(self._transport, self._service.options.buffered)
        self._deadline = Deadline(self._expired)
        facts = tls_facts(transport)
        if facts is not None:
            self._peer = self._peer.secured(facts)
        self._record.opened()
        if self._ending is not None:
            self._transport.abort()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take octets; run the commands in them unless one is being performed."""
        self._record.octets_in += len(data)
        self._read_at = time.monotonic()
        if self._session.in_text:
            self._await_octets()
        self._session.receive(data)
        if self._task is None:
            self._run()
        self._throttle()

    def eof_received(self) -> bool:
        """The client sends no more: do and answer what it sent, then close. Text without its end is not delivered."""
        self._heard_all = True
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
            self._go_on()

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
        self._farewell = self._farewell or (replies.OVERLOADED, Ending.SHED)
        self._leave()

    def drain(self) -> None:
        """Close between transactions; the one in the middle is finished first.

        RFC 5321 §3.8: "An SMTP server MUST NOT intentionally close the connection under normal operational
        circumstances [...] except: [...] After detecting the need to shut down the SMTP service and returning a 421
        response code."
        """
        if self._transport is None:
            self._farewell = self._farewell or (replies.SHUTTING_DOWN, Ending.DRAINED)
        self._session.drain()
        if self._task is None and self._transport is not None:
            self._go_on()

    def end(self) -> None:
        """Close now, without another octet; text that is on its way is abandoned."""
        self._abort(Ending.DRAINED)

    def _go_on(self) -> None:
        """After a pause: say goodbye if that is due, else run what was read meanwhile."""
        self._await_octets()
        self._leave()
        self._run()
        self._throttle()

    def _run(self) -> None:
        """Run commands until one waits, the client doesn't read, or more octets are needed."""
        while self._transport is not None and self._ending is None and not self._outlet.paused:
            step = self._session.advance()
            self._record.answered(step.answered, time.monotonic() - self._read_at)
            if isinstance(step.effect, effects.StartTls):
                # RFC 3207 §4: the handshake follows the 220 directly, so nothing may be read in clear in between.
                self._handshaking = True
                self._transport.pause_reading()
            if step.output:
                # Before the write, which may find that the client doesn't read and set its own deadline.
                self._await_octets()
            self._outlet.write(step.output)
            if step.effect is None:
                self._close_if_heard_all()
                return
            if not (isinstance(step.effect, effects.Store) and self._performer.store(step.effect)):
                self._begin(step.effect)
                return

    def _close_if_heard_all(self) -> None:
        if self._heard_all:
            self._close(Ending.VANISHED)

    def _begin(self, effect: Effect) -> None:
        if self._deadline is not None:
            self._deadline.clear()
        if isinstance(effect, effects.Close):
            self._close(self._reason_to_close())
            return
        context = self._record.log.context()
        self._task = asyncio.get_running_loop().create_task(self._perform(effect), context=context)
        self._task.add_done_callback(self._performed)

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
                await self._performer.deliver()
            case effects.Abandon():
                await self._performer.abandon(effect)
            case effects.StartTls():
                await self._start_tls()

    def _performed(self, task: "asyncio.Task[None]") -> None:
        """An effect came to its end: go on, or give everything back."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self._record.log.warning("fault", error=repr(error))
        if error is not None or task.cancelled():
            self._abort(Ending.VANISHED if isinstance(error, ConnectionError) else Ending.FAULT)
        if self._transport is None:
            self._task = asyncio.get_running_loop().create_task(self._finish())
        else:
            self._go_on()

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
        self._outlet.open(secured, self._service.options.buffered)
        facts = tls_facts(secured)
        if facts is not None:
            self._peer = self._peer.secured(facts)
        self._session.tls_started()

    async def _finish(self) -> None:
        await self._performer.close()
        if not self._finished:
            self._finished = True
            self._record.ended(self._peer, self._ending or Ending.VANISHED, self._outlet.octets)
            self.gone()

    def _await_octets(self) -> None:
        """Begin to wait anew: a reply was given or text came. Octets that end no command line are no progress."""
        if self._deadline is not None and self._task is None and self._ending is None:
            self._deadline.set(self._service.options.idle)

    def _expired(self) -> None:
        if self._outlet.paused or self._ending is not None:
            self._abort(Ending.STALLED)
        else:
            self._outlet.write(bytes(replies.IDLE))
            self._close(Ending.AUTOLOGOUT)

    def _throttle(self) -> None:
        """Read no further while what was read waits to run."""
        if self._transport is None or self._handshaking or self._transport.is_closing():
            return
        full = self._session.buffered > self._service.options.buffered or self._outlet.paused
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _leave(self) -> None:
        """Say the farewell that is due, once nothing is being performed."""
        if self._farewell is not None and self._ending is None and self._task is None and self._transport is not None:
            reply, ending = self._farewell
            self._outlet.write(bytes(reply))
            self._close(ending)

    def _close(self, ending: Ending) -> None:
        """Close once everything written is sent, or the client has read nothing for too long."""
        self._end_with(ending)
        if self._transport is not None:
            self._transport.close()
        if self._deadline is not None and self._transport is not None:
            self._deadline.set(self._service.options.stall)

    def _abort(self, ending: Ending) -> None:
        self._end_with(ending)
        if self._transport is not None:
            self._transport.abort()

    def _end_with(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
