"""The way out of one connection: writes that wait while the client doesn't read.

Owns backpressure and the stall. Refuses to know what is written. No more than the transport's bound
and one slice is ever held for a client that doesn't read (G15).
"""

import asyncio

from service.model.ending import Ending
from service.net.tls_transport import SecuredTransport

SLICE = 256 * 1024
"""Octets handed to the transport before looking whether the client keeps up."""


class CutError(ConnectionError):
    """A response broke off: the connection must be cut, never ended as if whole (G8). `ending` says why."""

    def __init__(self, ending: Ending, cause: str) -> None:
        super().__init__(cause)
        self.ending = ending


class Outlet:
    """Writes to one transport, which may be replaced once TLS began."""

    __slots__ = ("_bound", "_held", "_stall_seconds", "_transport", "_waiting", "octets", "paused")

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._bound = 0
        self._held = b""
        self.paused = False
        self.octets = 0

    def open(self, transport: asyncio.Transport, bound: int) -> None:
        """Write to `transport` from now on, which holds at most `bound` octets before it pauses."""
        self._transport = transport
        # A client that shook hands has taken all that was written before; nobody was told that it reads again.
        self.paused = False
        self._bound = bound
        transport.set_write_buffer_limits(high=bound)

    def bound(self, octets: int) -> None:
        """Let the transport hold at most `octets` from now on."""
        self._bound = octets
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=octets)

    def write(self, data: bytes | memoryview) -> None:
        """Write without waiting; for what is short."""
        if self._held:
            data, self._held = self._held + bytes(data), b""
        if data and self._transport is not None:
            self.octets += len(data)
            self._transport.write(data)

    def write_last(self, data: bytes) -> None:
        """Write what the transport's close follows at once: over TLS the two leave together."""
        if isinstance(self._transport, SecuredTransport) and not self._held:
            self.octets += len(data)
            self._transport.write_last(data)
        else:
            self.write(data)

    def hold(self, data: bytes) -> None:
        """Write it together with what is written next, which must come."""
        self._held += data

    async def send(self, data: bytes) -> None:
        """Write, waiting while the client doesn't keep up. Raises ConnectionError, CutError among them."""
        if self._transport is None:
            raise ConnectionResetError("the connection is gone")
        if len(data) <= SLICE:
            self.write(data)
            await self.flushed()
            return
        view, last = memoryview(data), len(data) - self._bound - SLICE
        for start in range(0, len(data), SLICE):
            part = view[start : start + SLICE]
            # What the transport holds once all is written must not keep all of `data` alive.
            self.write(part if start < last else part.tobytes())
            await self.flushed()
            # Others run between two slices of a message.
            await asyncio.sleep(0)

    async def flushed(self) -> None:
        """Wait while too much is unread. Raises ConnectionError."""
        if self._transport is None:
            raise ConnectionResetError("the connection is gone")
        if not self.paused:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._waiting
        except TimeoutError as error:
            raise CutError(Ending.STALLED, "the client doesn't read") from error
        finally:
            self._waiting = None

    def pause(self) -> None:
        """The transport holds too much."""
        self.paused = True

    def resume(self) -> None:
        """The transport has room again."""
        self.paused = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def lost(self) -> None:
        """The connection is gone: whoever waits is told."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the connection is gone"))
