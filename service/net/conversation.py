"""A connection in which octets become commands, one of which may wait: what POP3 and LMTP share.

Owns the transport, its flow both ways, the one task, the deadlines, the step up to TLS and the end.
Refuses to know a grammar: a subclass runs its session and performs its effects.
RFC 2595 §4 and RFC 3207 §4 (nothing is read in clear before the handshake), RFC 8314 §3.4 (close_notify).
"""

import asyncio
import ssl
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from math import inf
from typing import Any, cast

from service.model.ending import Ending
from service.net.conversation_hooks import Hooks
from service.net.deadline import Deadline
from service.net.outlet import CutError, Outlet
from service.net.peer import Peer
from service.net.tls import may_be_half_closed, start_tls, tls_facts
from service.telemetry import metrics

LOOK_AGAIN = 1.0
"""Seconds until a deadline comes again that came while octets waited for their turn."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: `idle` without a command, `stall` without reading what was sent, `handshake` until TLS is there."""

    idle: float
    stall: float
    handshake: float


class Conversation(Hooks):
    """A client's connection, from accept to the last octet.

    While `_task` is set an effect is being performed and no command runs; while `_lined_up`, they wait for a turn of
    the event loop. Once `_ending` is set nothing more is run or read; the first one stands. `_farewell` is what to say
    and how to end as soon as nothing is in the middle. A subclass keeps what `data_received` brings, and hears it.
    """

    _loop: asyncio.AbstractEventLoop
    _deadline: Deadline
    """Both are there from `connection_made` on: each time that asyncio is asked for the loop, it calls the kernel."""

    def __init__(self, peer: Peer, patience: Patience, tls: ssl.SSLContext | None) -> None:
        self._peer = peer
        self._patience = patience
        self._tls = tls
        self._outlet = Outlet(patience.stall)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: Ending | None = None
        self._farewell: tuple[Ending, bytes] | None = None
        self._since = 0.0
        self._heard = -inf
        """When the wait for a command began that lasts now. None moves the deadline: when that comes, it looks here."""
        self._reading = True
        self._handshaking = False
        self._lined_up = False
        self._heard_all = False
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or say why not."""
        self._transport = there = cast("asyncio.Transport", transport)
        self._outlet.open(there, self._bound)
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._expired, self._loop)
        self._deadline.set(self._patience.idle)
        self._secured(there)
        if self._ending is not None:
            there.abort()
        self._opened()

    def eof_received(self) -> bool:
        """The client sends no more: do and answer what it sent, then close. What it left unfinished is not done."""
        self._heard_all = True
        if self._task is None and not self._lined_up and not self._outlet.paused:
            # What was written may still have to be sent, for which it has as long as any client that reads nothing.
            self._close(Ending.VANISHED)
            return False
        return may_be_half_closed(self._transport)

    def pause_writing(self) -> None:
        """The client doesn't read: run and read no more of its commands, and give it the stall deadline."""
        self._outlet.pause()
        if self._task is None:
            self._await_octets()
            self._throttle()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._outlet.resume()
        if self._task is None:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed. What is being performed goes on to its end, then everything is given back."""
        self._ending = self._ending or Ending.VANISHED
        self._transport = None
        self._outlet.lost()
        self._deadline.close()
        if self._task is None:
            self._wind_up()

    def end(self) -> None:
        """Close now, by default without another octet."""
        self._abort(Ending.DRAINED)

    @property
    def _running(self) -> bool:
        """Whether commands may run: the transport is open, the client reads, and no end has come."""
        return self._transport is not None and self._ending is None and not self._outlet.paused

    def _go_on(self) -> None:
        """After a pause: say the farewell if it is due, else run what was read meanwhile."""
        if self._farewell is not None:
            self._leave()
        self._hear()
        self._await_octets()

    def _hear(self) -> None:
        """Run what was read in turn, at once where there is room, unless a command is being performed."""
        if self._task is None and not self._lined_up:
            self._since = time.monotonic()
            if self._turns.soon(self._take_turn):
                return
            self._lined_up = True
        self._throttle()

    def _let_others_first(self) -> None:
        """More commands wait, which would keep the event loop for long."""
        self._lined_up = True
        self._loop.call_soon(self._turns.soon, self._take_turn)

    def _take_turn(self) -> bool:
        """Run commands; whether an effect began, which goes on where they stopped."""
        self._lined_up = False
        # Once the end has come, a task is no effect's.
        if self._ending is not None:
            return False
        try:
            left = self._outlet.paused or self._run()
        except BaseException as error:
            # Whoever called has nobody to tell: a connection that answers nothing would keep its maildrop.
            self._broke_off(error)
            raise
        if left or not self._reading:
            self._throttle()
        return self._task is not None

    def _begin(self, effect: Coroutine[Any, Any, None]) -> None:
        """Perform an effect that waits; no command runs until it is done."""
        self._since = time.monotonic()
        self._task = self._loop.create_task(effect, context=self._context())
        self._task.add_done_callback(self._performed)

    def _performed(self, task: "asyncio.Task[None]") -> None:
        """An effect came to its end: go on, or give everything back."""
        self._task = None
        self._counted()
        try:
            if task.cancelled():
                self._abort(Ending.FAULT)
            elif (error := task.exception()) is not None:
                self._broke_off(error)
        finally:
            if self._transport is None:
                self._wind_up()
            else:
                self._go_on()

    def _broke_off(self, error: BaseException) -> None:
        """End for `error`, even if it can't be told."""
        ending = Ending.FAULT
        try:
            ending = self._ending_of(error)
        finally:
            self._abort(ending)

    def _ending_of(self, error: BaseException) -> Ending:
        """How an effect that broke off ends the conversation."""
        if isinstance(error, CutError):
            return error.ending
        return Ending.VANISHED if isinstance(error, ConnectionError) else Ending.FAULT

    def _stop_reading_clear(self) -> None:
        """To be called before the response after which TLS begins is written."""
        self._handshaking = True
        if self._transport is not None:
            self._transport.pause_reading()

    async def _start_tls(self) -> None:
        if self._transport is None or self._tls is None:
            raise ConnectionResetError("the client left before the handshake")
        try:
            secured = await start_tls(self._transport, self, self._tls, self.in_turn, self._patience.handshake)
        except OSError as error:
            # The loss of the connection may be told before this task's end.
            self._end_with(Ending.TLS)
            raise CutError(Ending.TLS, "the handshake failed") from error
        self._transport = secured
        self._handshaking, self._reading = False, True
        self._outlet.open(secured, self._bound)
        self._secured(secured)
        self._tls_started()

    def _secured(self, transport: asyncio.Transport) -> None:
        if (facts := tls_facts(transport)) is not None:
            self._peer = self._peer.secured(facts)
            metrics.tls_established(self._peer.listener, facts.version)

    def _wind_up(self) -> None:
        """Give everything back, in turn; without a task where nothing of it waits, as after a QUIT."""
        if self._given_back():
            self._turns.soon(self._finish)
        else:
            self._task = self._loop.create_task(self._turns.run(self._part()), context=self._context())

    async def _part(self) -> None:
        await self._give_back()
        self._finish()

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            try:
                self._ended(self._ending or Ending.VANISHED)
            finally:
                # Its place is another client's, though nobody may hear of its end.
                self.gone()

    def _await_octets(self) -> None:
        """Begin to wait anew: for a command, or for the client to read."""
        if self._task is None and self._ending is None:
            self._heard = time.monotonic()
            if self._outlet.paused:
                self._deadline.set(self._patience.stall)

    def _expired(self) -> None:
        if self._ending is not None:
            self._abort(Ending.STALLED)
        elif self._task is not None:
            # An effect has bounds of its own, and at its end a wait begins anew.
            self._deadline.set(self._patience.idle)
        elif self._outlet.paused:
            self._abort(Ending.STALLED)
        elif self._lined_up:
            # Octets came, and wait for a turn of the event loop: whether they end a command will show then.
            self._deadline.set(LOOK_AGAIN)
        elif (left := self._heard + self._patience.idle - time.monotonic()) > 0:
            self._deadline.set(left)
        else:
            self._idle()

    def _throttle(self) -> None:
        """Read no further while what was read waits to run, and again once it doesn't."""
        if self._transport is None or self._handshaking or self._transport.is_closing():
            return
        full = self._waiting() > self._most_waiting or self._outlet.paused
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _say_farewell(self, ending: Ending, word: bytes) -> None:
        """End with `word`, now or once what is in the middle is done."""
        self._farewell = self._farewell or (ending, word)
        self._leave()

    def _leave(self) -> None:
        """Say the farewell that is due, once nothing is being performed."""
        free = self._task is None and self._transport is not None and self._ending is None
        if self._farewell is not None and free and self._may_leave():
            ending, word = self._farewell
            self._outlet.write(word)
            self._close(ending)

    def _close(self, ending: Ending) -> None:
        """Close once everything written is sent, close_notify included, or the client reads nothing for too long."""
        self._end_with(ending)
        if self._transport is not None:
            self._deadline.set(self._patience.stall)
            self._transport.close()
            self._over()

    def _abort(self, ending: Ending) -> None:
        self._end_with(ending)
        if self._transport is not None:
            self._transport.abort()

    def _end_with(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
