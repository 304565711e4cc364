"""The line between a worker and its supervisor: one says that it is ready, both notice when the other is gone.

Owns a socket pair's two ends. Refuses to carry anything else. A worker outlives a supervisor that was killed
only for as long as its drain takes, because the kernel closes the other end.
"""

import asyncio
import socket
from collections.abc import Callable

READY = b"ready\n"


class WorkerEnd:
    """A worker's end, from the file descriptor that it was started with."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def watch(self, gone: Callable[[], object]) -> None:
        """Call `gone` when the supervisor ends in whatever way."""
        asyncio.get_running_loop().add_reader(self._socket, self._readable, gone)

    def ready(self) -> None:
        """Tell the supervisor that every listener answers."""
        self._socket.send(READY)

    def _readable(self, gone: Callable[[], object]) -> None:
        if not self._socket.recv(64):
            asyncio.get_running_loop().remove_reader(self._socket)
            gone()


class SupervisorEnd:
    """The supervisor's end for one worker; `worker` is the descriptor to start that one with."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)

    @property
    def worker(self) -> int:
        """The descriptor that the worker inherits."""
        return self._theirs.fileno()

    def started(self) -> None:
        """Close our copy of the worker's end, so that its end is noticed."""
        self._theirs.close()

    async def ready(self) -> bool:
        """Whether the worker became ready; False once it is gone instead."""
        try:
            return bool(await asyncio.get_running_loop().sock_recv(self._ours, 64))
        except ConnectionError:
            return False

    def close(self) -> None:
        """Let go; a worker that still runs ends."""
        self._ours.close()
