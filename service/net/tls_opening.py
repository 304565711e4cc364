"""The beginning of TLS, from the first octet or after STLS: the client's first words, its turn, the handshake.

Owns that a client has no more than its transport until it speaks, that what a handshake computes first, a millisecond
of signing, is done in turn, and that what comes beyond two reads waits in the kernel until then. Once TLS is there it
hands on to `SecuredTransport` whatever the transport in clear tells: where that is given another protocol uvloop stops
and begins its reading, which are two calls of the kernel. Refuses to know whose turn it is, certificates and protocols.
RFC 8314 §3.1, RFC 2595 §4.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

from service.net.deadline import Deadline
from service.net.tls_decrypting import Tls
from service.net.tls_transport import NOBODY, SecuredTransport

InTurn = Callable[[Callable[[], bool]], None]
"""Calls what it is given when it is its turn, at once where nobody waits; that gives whether it needed the turn."""

Ended = Callable[[OSError | None], bool]
"""Told what came of a handshake: nothing before the protocol hears of the connection, else why there is none, once the
transport is closed. Gives whether the connection is still wanted; it is closed if not."""


_GONE = ConnectionResetError("the connection is gone")
"""Never raised."""


def at_once(call: Callable[[], object]) -> None:
    """An `InTurn` for what waits for nobody."""
    call()


def _tell(waiting: "asyncio.Future[None]", error: OSError | None) -> bool:
    """An `Ended` for who waits."""
    if not waiting.done():
        waiting.set_exception(error) if error else waiting.set_result(None)
    return not waiting.cancelled()


class Opening(asyncio.Protocol):
    """What `protocol` has before its transport; `connection_made` is called after the handshake, never if that fails.

    `shutdown_seconds` is how long a close waits for the client's close_notify, later on, and how long one that failed
    waits for the client to take what was written.
    """

    __slots__ = (
        "_answered", "_came", "_context", "_deadline", "_ended", "_error", "_in_turn", "_protocol", "_raw", "_secured",
        "_shutdown_seconds", "_tls",
    )  # fmt: skip

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, in_turn: InTurn, shutdown_seconds: float
    ) -> None:
        self._protocol = protocol
        self._context = context
        self._in_turn = in_turn
        self._shutdown_seconds = shutdown_seconds
        self._raw: asyncio.Transport | None = None
        self._tls: Tls | None = None
        self._secured: SecuredTransport | None = None
        """There once the handshake is over."""
        self._came = b""
        """What waits for its turn."""
        self._answered = False
        """Whether the server had its say, after which there is little to compute."""
        self._deadline = Deadline(self._late)
        self._error: OSError | None = None
        """Why there will be no TLS; nothing more is read."""
        self._ended: Ended | None = None

    def begin(self, seconds: float, ended: Ended) -> None:
        """Have so long for the handshake, and `ended` called once, unless the transport never comes to be."""
        self._ended = ended
        if self._error is None:
            self._deadline.set(seconds)
        elif self._raw is None:
            self._end(self._error)

    async def done(self, seconds: float) -> None:
        """Return once `protocol` was told of the connection.

        Raises OSError when that comes to nothing, once the transport is closed: until then it takes its place (G15).
        """
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begin(seconds, partial(_tell, waiting))
        try:
            await waiting
        finally:
            # It keeps what it raised, which keeps this frame.
            del waiting

    def abort(self) -> None:
        """Give up, and close now."""
        self._error = self._error or ConnectionAbortedError("the handshake was given up")
        self._deadline.close()
        if self._raw is not None:
            self._raw.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there; it speaks first."""
        self._raw = cast("asyncio.Transport", transport)
        if self._error is not None:
            self._raw.abort()

    def data_received(self, data: bytes) -> None:
        """Octets came, encrypted or on the way there."""
        if self._secured is not None:
            self._secured.data_received(data)
            return
        if self._error is not None or self._raw is None:
            return
        if self._answered:
            self._go_on(data)
        elif self._came:
            # Two reads wait here, what a client says beyond that in the kernel. To pause at the first would leave
            # unseen that the client left.
            self._came += data
            self._raw.pause_reading()
        else:
            # What comes in several pieces may be computed with any of them.
            self._came = data
            self._in_turn(self._begin)

    def eof_received(self) -> bool:
        """The client ended the connection."""
        if self._secured is not None:
            return self._secured.eof_received()
        self._fail(ConnectionResetError("the client left during the handshake"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._raw = None
        self._deadline.close()
        if self._secured is not None:
            self._secured.connection_lost(exc)
            return
        # Whoever gives turns may keep this one until it would have come.
        self._came, self._tls, self._protocol = b"", None, NOBODY
        # One that was raised refers to this: kept here, the two would wait for Python's collector.
        error, self._error = self._error, _GONE
        self._end(error or ConnectionResetError("the connection ended during the handshake"))

    def pause_writing(self) -> None:
        """The client doesn't read."""
        if self._secured is not None:
            self._secured.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._secured is not None:
            self._secured.resume_writing()

    def _begin(self) -> bool:
        came, self._came = self._came, b""
        if self._error is not None or self._raw is None:
            return False
        if not self._raw.is_reading():
            self._raw.resume_reading()
        self._go_on(came)
        return True

    def _go_on(self, data: bytes) -> None:
        if self._raw is None:
            return
        if self._tls is None:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = Tls(self._context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing)
        self._tls.take(data)
        self._shake_hands(self._tls, self._raw)

    def _shake_hands(self, tls: Tls, raw: asyncio.Transport) -> None:
        try:
            tls.shake_hands()
        except ssl.SSLWantReadError:
            # A HelloRetryRequest settles none (RFC 8446 §4.1.4): what costs comes with the second hello.
            self._answered = tls.object.cipher() is not None
            self._send(tls, raw)
        except ssl.SSLError as error:
            # The alert that says why, if there is one.
            self._send(tls, raw)
            self._fail(error)
        else:
            self._deadline.clear()
            if self._end(None):
                self._secured = SecuredTransport(self._protocol, raw, tls, self._deadline, self._shutdown_seconds)
                # What is no longer needed, for as long as the connection lasts.
                self._protocol, self._tls, self._in_turn = NOBODY, None, at_once
                # What ends the handshake leaves with the greeting.
                self._secured.begin()
            else:
                self.abort()

    def _end(self, error: OSError | None) -> bool:
        """Say once what came of it; whether the connection is still wanted."""
        ended, self._ended = self._ended, None
        return ended is None or ended(error)

    @staticmethod
    def _send(tls: Tls, raw: asyncio.Transport) -> None:
        if tls.outgoing.pending:
            raw.write(tls.outgoing.read())

    def _late(self) -> None:
        if self._secured is not None:
            self._secured.late()
            return
        self._error = self._error or ConnectionAbortedError("the handshake takes too long")
        self.abort()

    def _fail(self, error: OSError) -> None:
        """What is written is sent, an alert and what was said in clear before it, to whoever takes it in time."""
        if self._error is None and self._raw is not None:
            self._error = error
            self._deadline.set(self._shutdown_seconds)
            self._raw.close()
