"""A session's share of its process: its place among those that are logged in, and on whose behalf it asks. G14, G16.

RFC 1939 §4: a login that is refused leaves no lock behind.
"""

import asyncio
import socket
import struct
from uuid import UUID, uuid4

import pytest

from service.mail.budget import Budget
from service.mail.fairness import Fairness
from service.mail.pace import Pace
from service.mail.patience import Patience
from service.mail.turns import Bounds, Turns
from service.mail.whose import WHOSE, Owners
from service.net.conversation import LOOK_AGAIN
from service.net.pop3_turns import SessionTurns
from service.protocol.pop3.session import Session
from tests.mail.house import House
from tests.net.crowded import Crowded
from tests.net.front import LOGIN, Front, read_multi_line, until

OTHER = uuid4()


class Domains:
    """The domain of the house's one tenant."""

    def __init__(self, house: House) -> None:
        self.tenant = house.key.tenant_id

    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        return (self.tenant, "acme") if domain == "example.org" else None


def fairness(house: House, places: int = 100) -> Fairness:
    owners = Owners(Domains(house), Turns("domains", Bounds(2)))
    pace = Pace(4)
    return Fairness(owners, Turns("sessions", Bounds(places, queue=0, most=0.8)), pace)


async def test_g14_a_tenant_with_its_share_of_a_nearly_full_process_is_asked_to_come_back() -> None:
    house = await House().furnish()
    fair = fairness(house, places=10)
    front = Front(house, fairness=fair)
    tenant = house.key.tenant_id
    for _ in range(8):
        assert fair.sessions.try_take(tenant)
    async with front.listening():
        client = await front.client()
        await client.send(LOGIN)
        assert (await client.line()).startswith(b"+OK")
        assert (await client.line()).startswith(b"-ERR [SYS/TEMP] ")
        assert len(house.leases) == 0
        assert fair.sessions.try_take(OTHER), "another tenant finds a place"
        fair.sessions.give_back(tenant)
        await client.send(LOGIN)
        assert (await client.line()).startswith(b"+OK")
        assert (await client.line()).startswith(b"+OK"), "the maildrop was free at once"
        client.close()


async def test_g16_after_a_login_the_names_of_a_domain_that_changed_hands_are_its_new_tenants() -> None:
    house = await House().furnish()
    domains = Domains(house)
    domains.tenant = OTHER
    fair = Fairness(Owners(domains, Turns("domains", Bounds(2))))
    assert await fair.whose("user@example.org") == OTHER
    domains.tenant = house.key.tenant_id
    turns = SessionTurns(fair, "192.0.2.1")
    assert turns.enter(await house.open())
    turns.leave()
    assert await fair.whose("nobody-has-this@example.org") == house.key.tenant_id


async def test_a_place_is_free_again_however_the_session_ends() -> None:
    house = await House().furnish(b"Subject: x\r\n\r\nx\r\n")
    fair = fairness(house)
    front = Front(house, fairness=fair)
    async with front.listening():
        for ending in (b"QUIT\r\n", b"DELE 1\r\nQUIT\r\n", b""):
            client = await front.logged_in()
            assert fair.sessions.used == 1
            await client.send(ending)
            client.close()
            await until(lambda: fair.sessions.used == 0)


async def test_g16_what_a_session_asks_for_it_asks_on_its_tenants_behalf() -> None:
    house = await House().furnish(b"Subject: x\r\n\r\nx\r\n")
    seen = []
    find, read = house.provider.directory.find, house.blobs.behind.read

    async def finding(name: str) -> object:
        seen.append(("find", WHOSE.get()))
        return await find(name)

    async def reading(key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        seen.append(("read", WHOSE.get()))
        return await read(key, start, end, patience)

    house.provider.directory.find = finding  # type: ignore[method-assign, assignment]
    house.blobs.behind.read = reading  # type: ignore[method-assign]
    front = Front(house, fairness=fairness(house))
    async with front.listening():
        client = await front.client()
        await client.send(b"USER nobody@nowhere.example\r\nPASS x\r\n")
        assert (await client.line()).startswith(b"+OK")
        assert (await client.line()).startswith(b"-ERR")
        client = await front.logged_in()
        await client.send(b"RETR 1\r\n")
        await read_multi_line(client)
        client.close()
    tenant = house.key.tenant_id
    assert seen == [("find", None), ("find", tenant), ("read", tenant)]


async def test_g16_who_comes_from_where_a_tenants_session_came_from_is_taken_for_that_tenants() -> None:
    house = await House().furnish()
    front = Front(house, fairness=fairness(house))
    async with front.listening():
        for refused in (b"USER nobody@nowhere.example\r\nPASS x\r\n", b""):
            client = await front.client()
            assert front.connections[-1]._turns.whose == "127.0.0.1"
            await client.send(refused or LOGIN)
            await client.line()
            await client.line()
            client.close()
        client = await front.client()
        assert front.connections[-1]._turns.whose == house.key.tenant_id
        client.close()


async def test_g16_who_is_refused_a_place_is_known_by_address_at_the_next_visit() -> None:
    house = await House().furnish()
    fair = fairness(house, places=10)
    for _ in range(8):
        assert fair.sessions.try_take(house.key.tenant_id)
    front = Front(house, fairness=fair)
    async with front.listening():
        client = await front.client()
        await client.send(LOGIN)
        assert (await client.line()).startswith(b"+OK")
        assert (await client.line()).startswith(b"-ERR [SYS/TEMP] ")
        client.close()
        client = await front.client()
        assert front.connections[-1]._turns.whose == house.key.tenant_id
        client.close()


async def test_g16_memory_that_one_tenant_waits_for_is_not_kept_from_another() -> None:
    house = await House().furnish(b"Subject: x\r\n\r\nx\r\n")
    memory = Budget(100, most=0.8)
    front = Front(house, memory=memory, fairness=fairness(house))
    await memory.take(80, OTHER)
    waiting = asyncio.create_task(memory.take(10, OTHER))
    async with front.listening():
        client = await front.logged_in()
        await client.send(b"RETR 1\r\n")
        assert (await read_multi_line(client))[0].startswith(b"+OK")
        client.close()
    assert not waiting.done()
    memory.give_back(80, OTHER)
    await waiting


async def crowded_front(house: House) -> tuple[Front, Crowded]:
    crowd = Crowded()
    owners = Owners(Domains(house), Turns("domains", Bounds(2)))
    return Front(house, fairness=Fairness(owners, pace=crowd)), crowd


async def test_g16_commands_wait_for_a_turn_and_none_is_run_twice_or_lost() -> None:
    front, crowd = await crowded_front(await House().furnish())
    async with front.listening():
        client = await front.client()
        await client.send(b"NOOP\r\n")
        await until(lambda: crowd.waiting == 1)
        await client.send(b"CAPA\r\n" + b"NOOP\r\n" * 1000)
        await until(lambda: front.connections[0]._waiting() > 6000)
        assert crowd.waiting == 1, "one turn is for all that was read"
        crowd.leave()
        assert (await client.line()).startswith(b"-ERR")
        assert (await read_multi_line(client))[0].startswith(b"+OK")
        for _ in range(1000):
            assert (await client.line()).startswith(b"-ERR")
        client.close()


async def test_who_waits_for_a_turn_is_not_idle_and_is_looked_at_again_soon() -> None:
    """RFC 1939 §3: "The receipt of any command from the client" resets the timer, though it hasn't run yet."""
    front, crowd = await crowded_front(await House().furnish())
    async with front.listening():
        client = await front.client()
        await client.send(b"NOOP\r\n")
        await until(lambda: crowd.waiting == 1)
        connection = front.connections[0]
        connection._expired()
        # Whether what came is a whole command is known once its turn has come.
        assert connection._deadline is not None
        assert connection._deadline._moment is not None
        assert connection._deadline._moment <= asyncio.get_running_loop().time() + LOOK_AGAIN
        crowd.leave()
        assert (await client.line()).startswith(b"-ERR"), "it ran, and the connection stands"
        connection._expired()
        assert connection._ending is None, "it was heard a moment ago"
        connection._heard -= connection._patience.idle
        connection._expired()
        assert await client.rest() == b""


async def test_what_a_client_sent_before_it_closed_its_half_is_done_in_turn() -> None:
    """RFC 1939 §4: QUIT is answered, whatever the client's socket does meanwhile."""
    front, crowd = await crowded_front(await House().furnish())
    async with front.listening():
        client = await front.client()
        await client.send(b"QUIT\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        await until(lambda: crowd.waiting == 1)
        await asyncio.sleep(0.05)
        crowd.leave()
        assert (await client.line()).startswith(b"+OK")
        assert await client.rest() == b""


async def test_a_client_that_leaves_while_its_commands_wait_leaves_nothing_behind() -> None:
    front, crowd = await crowded_front(await House().furnish())
    async with front.listening():
        client = await front.client()
        await client.send(LOGIN)
        await until(lambda: crowd.waiting == 1)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await until(lambda: crowd.waiting == 2)
        crowd.leave()
        await until(lambda: front.connections[0]._gone)
    assert len(front.house.leases) == 0


async def test_a_connection_whose_commands_fail_is_closed_and_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish()
    front = Front(house, fairness=fairness(house))
    async with front.listening():
        client = await front.logged_in()
        assert len(house.leases) == 1

        def badly(_session: Session) -> None:
            raise KeyError("x")

        monkeypatch.setattr(Session, "advance", badly)
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await client.send(b"NOOP\r\n")
        assert await client.rest() == b""
        await until(lambda: len(house.leases) == 0)


async def test_g16_commands_in_a_row_give_way_after_each_effect_to_whoever_waits() -> None:
    """Retrievals that were fetched ahead wait for nothing: without it a pipeline of them would be one turn."""
    pace = Pace(1)
    session = SessionTurns(Fairness(pace=pace), "192.0.2.1")
    done: list[str] = []

    async def effect(name: str) -> None:
        done.append(name)

    session.soon(lambda: True)
    pace.ended("a third", 1.0)
    pace.soon(OTHER, lambda: done.append("other"))
    await session.run(effect("first"))
    session.soon(lambda: True)
    await session.run(effect("second"))
    session.soon(lambda: False)
    assert done == ["first", "other", "second"]


async def test_commands_in_a_row_are_one_turn_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(1)
    session = SessionTurns(Fairness(pace=pace), "192.0.2.1")
    session.soon(lambda: True)
    monkeypatch.setattr(pace, "may_begin", None)

    async def effect() -> None:
        assert not pace.waiting

    for _ in range(3):
        await session.run(effect())
        session.soon(lambda: True)
