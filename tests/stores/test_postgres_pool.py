"""The pool of connections: no more than it may have, none lost, none used again that leads nowhere."""

import asyncio
from typing import cast

import asyncpg
import pytest

from service.stores.postgres.pool import Connection, Pool


class Stub:
    """As much of a connection as a pool looks at."""

    def __init__(self) -> None:
        self.closed = False
        self.unfinished = False

    def is_in_transaction(self) -> bool:
        return self.unfinished

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True


class Server:
    """Makes connections, unless it is away."""

    def __init__(self) -> None:
        self.made: list[Stub] = []
        self.away = False

    async def connect(self) -> Connection:
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionRefusedError
        self.made.append(Stub())
        return cast("Connection", self.made[-1])

    @property
    def open(self) -> int:
        return sum(not each.closed for each in self.made)


@pytest.fixture
def server() -> Server:
    return Server()


async def test_g10_a_connection_whose_transaction_did_not_end_is_given_to_nobody(server: Server) -> None:
    pool = Pool(server.connect, 1)
    one = await pool.acquire()
    server.made[0].unfinished = True
    pool.release(one)
    assert server.made[0].closed
    assert await pool.acquire() is not one


async def test_the_connection_that_was_returned_last_is_used_first(server: Server) -> None:
    pool = Pool(server.connect, 3)
    one, two = await pool.acquire(), await pool.acquire()
    pool.release(one)
    pool.release(two)
    assert (pool.size, pool.idle) == (2, 2)
    assert await pool.acquire() is two
    assert len(server.made) == 2


@pytest.mark.parametrize("every", [3, 1000])
async def test_there_are_never_more_and_whoever_waits_is_served_in_order(server: Server, every: int) -> None:
    pool, most, order = Pool(server.connect, 2), 0, []

    async def use(number: int) -> None:
        nonlocal most
        connection = await pool.acquire()
        order.append(number)
        most = max(most, pool.size)
        await asyncio.sleep(0)
        if number % every == every - 1:
            connection.terminate()
        pool.release(connection)

    await asyncio.gather(*map(use, range(30)))
    assert most == 2
    # A connection that is to be made takes longer than one that is handed over.
    assert (sorted(order) if every == 3 else order) == list(range(30))
    assert pool.size == pool.idle == server.open <= 2


async def test_a_connection_that_ended_while_it_was_idle_is_not_given(server: Server) -> None:
    pool = Pool(server.connect, 1)
    pool.release(await pool.acquire())
    server.made[0].closed = True
    assert pool.try_acquire() is None
    assert not (await pool.acquire()).is_closed()
    assert pool.size == 1


async def test_who_gives_up_waiting_keeps_nothing(server: Server) -> None:
    pool = Pool(server.connect, 1)
    held = await pool.acquire()
    early, late = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    # It is handed over and given up in the same moment.
    pool.release(held)
    early.cancel()
    assert await late is held
    third = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    held.terminate()
    pool.release(held)
    third.cancel()
    await asyncio.gather(early, third, return_exceptions=True)
    assert pool.size == 0


async def test_a_server_that_is_away_costs_no_room(server: Server) -> None:
    pool = Pool(server.connect, 1)
    server.away = True
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    assert all(
        isinstance(each, ConnectionRefusedError) for each in await asyncio.gather(*waiting, return_exceptions=True)
    )
    assert pool.size == 0
    server.away = False
    assert await pool.acquire()


async def test_after_a_failover_no_earlier_connection_is_used_again(server: Server) -> None:
    pool = Pool(server.connect, 2)
    used, idle = await pool.acquire(), await pool.acquire()
    pool.release(idle)
    pool.expire()
    assert idle.is_closed()
    pool.release(used)
    assert used.is_closed()
    assert (pool.size, server.open) == (0, 0)


async def test_what_is_idle_for_long_is_ended(server: Server) -> None:
    pool = Pool(server.connect, 2, idle_seconds=-1.0)
    one, two = await pool.acquire(), await pool.acquire()
    pool.release(one)
    assert pool.idle == 0
    assert one.is_closed()
    pool.terminate()
    assert two.is_closed()


async def test_whoever_waits_when_the_pool_ends_hears_so_at_once(server: Server) -> None:
    pool = Pool(server.connect, 1)
    await pool.acquire()
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    pool.terminate()
    waiting[1].cancel()
    async with asyncio.timeout(10):
        first, second, third = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, asyncpg.InterfaceError)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, asyncpg.InterfaceError)
    with pytest.raises(asyncpg.InterfaceError):
        await pool.acquire()


async def test_a_connection_that_is_made_while_the_pool_ends_does_not_stay_open(server: Server) -> None:
    pool = Pool(server.connect, 1)
    making = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.terminate()
    with pytest.raises(asyncpg.InterfaceError):
        await making
    assert (len(server.made), server.open) == (1, 0)
