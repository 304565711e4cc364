"""When TLS handshakes on a listener begin: one after another, each once its client has said something.

Owns their turns, by the client's network. A handshake is a millisecond of signing in one go: as many as are ready
would run between two looks at the sockets, and hold up every session for that long (G16). Until a client speaks it has
no more than its socket, and no turn. Refuses to know what a handshake is. RFC 8314 §3.1.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from service.mail.allowances import network_of
from service.mail.told import Told
from service.mail.turns import Bounds, Turns

ROUNDS = 3
"""Of the event loop, from a turn to the end of what the handshake computes: the transport is made in the first, reads
from the second on, and has read at the latest before the third."""


class Handshakes:
    """The turns of one process."""

    def __init__(self, told: Told | None = None) -> None:
        self._turns = Turns("handshakes", Bounds(1), told)

    async def turn(self, sock: socket.socket, client: str, seconds: float) -> float:
        """Wait until `client` spoke and it is its turn to begin, now; the seconds that are left.

        Raises TimeoutError.
        """
        clock, whose = asyncio.get_running_loop().time, network_of(client)
        end = clock() + seconds
        async with asyncio.timeout(seconds):
            if not _spoke(sock):
                await _until_it_speaks(sock)
            await self._turns.take(whose)
        _after(ROUNDS, partial(self._turns.give_back, whose))
        return max(0.001, end - clock())


def _spoke(sock: socket.socket) -> bool:
    """Whether there is anything to read, the end among it. Raises OSError."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


async def _until_it_speaks(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    spoke, descriptor = asyncio.Event(), sock.fileno()
    loop.add_reader(descriptor, spoke.set)
    try:
        await spoke.wait()
    finally:
        loop.remove_reader(descriptor)


def _after(rounds: int, call: Callable[[], None]) -> None:
    """Call `call` in the event loop's round after so many."""
    if rounds:
        asyncio.get_running_loop().call_soon(_after, rounds - 1, call)
    else:
        call()
