"""When handshakes begin: one at a time, by the clients' networks, and none before its client spoke. G15, G16.

RFC 8314 §3.1 (a handshake begins at once).
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest

from service.net.handshakes import ROUNDS, Handshakes

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

HEAVY, LIGHT = "198.51.100.7", "203.0.113.9"


@asynccontextmanager
async def clients(*names: str, speak: bool = True) -> AsyncIterator[list[tuple[str, socket.socket, socket.socket]]]:
    """The near and the far end of a connection for each."""
    pairs = [(name, *socket.socketpair()) for name in names]
    try:
        for _, near, far in pairs:
            near.setblocking(False)
            if speak:
                far.send(b"\x16")
        yield pairs
    finally:
        for _, near, far in pairs:
            near.close()
            far.close()


class Rounds:
    """Counts the event loop's."""

    def __init__(self) -> None:
        self.count = 0
        self._go_on()

    def _go_on(self) -> None:
        self.count += 1
        self._next = asyncio.get_running_loop().call_soon(self._go_on)

    def stop(self) -> None:
        self._next.cancel()


async def test_g16_one_begins_after_another_however_many_are_ready() -> None:
    handshakes, rounds, began = Handshakes(), Rounds(), list[int]()

    async def begin(client: str, sock: socket.socket) -> None:
        await handshakes.turn(sock, client, 30.0)
        began.append(rounds.count)

    async with clients(*(f"198.51.100.{number}" for number in range(20))) as pairs:
        await asyncio.gather(*(begin(client, near) for client, near, _ in pairs))
    rounds.stop()
    assert all(later - earlier >= ROUNDS for earlier, later in pairwise(began))


async def test_g16_many_of_one_network_keep_another_client_waiting_for_one() -> None:
    handshakes, order = Handshakes(), list[str]()

    async def begin(client: str, sock: socket.socket) -> None:
        await handshakes.turn(sock, client, 30.0)
        order.append(client)

    async with clients(*[HEAVY] * 20, LIGHT) as pairs:
        await asyncio.gather(*(begin(client, near) for client, near, _ in pairs))
    assert order.index(LIGHT) <= 2


async def test_g15_a_client_that_says_nothing_takes_no_turn_and_is_given_up() -> None:
    handshakes = Handshakes()
    async with clients(HEAVY, speak=False) as silent, clients(LIGHT) as speaking:
        _, near, _ = silent[0]
        waiting = asyncio.create_task(handshakes.turn(near, HEAVY, 0.05))
        await asyncio.sleep(0)
        assert await handshakes.turn(speaking[0][1], LIGHT, 30.0) <= 30.0
        with pytest.raises(TimeoutError):
            await waiting
        assert not asyncio.get_running_loop().remove_reader(near.fileno())


async def test_a_client_that_speaks_later_or_leaves_gets_its_turn() -> None:
    async with clients(HEAVY, LIGHT, speak=False) as pairs:
        handshakes = Handshakes()
        turns = [asyncio.create_task(handshakes.turn(near, client, 30.0)) for client, near, _ in pairs]
        await asyncio.sleep(0)
        pairs[0][2].send(b"\x16")
        pairs[1][2].close()
        assert all(0 < left <= 30.0 for left in await asyncio.gather(*turns))


async def test_one_that_is_cancelled_leaves_its_turn_to_the_next() -> None:
    handshakes = Handshakes()
    async with clients(HEAVY, HEAVY, LIGHT) as pairs:
        turns = [asyncio.create_task(handshakes.turn(near, client, 30.0)) for client, near, _ in pairs]
        turns[1].cancel()
        with suppress(asyncio.CancelledError):
            await turns[1]
        await asyncio.gather(turns[0], turns[2])
