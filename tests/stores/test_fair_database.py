"""Connections to Postgres in fair turns: short calls of one tenant between the long ones of another. G16, F6."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from service.mail.steps import in_turns
from service.mail.turns import Bounds, Turns, Whose
from service.mail.whose import WHOSE
from service.model.refusal import Reason, Refusal
from service.stores.observing import Unobserved
from service.stores.postgres.database import DatabaseOptions
from service.stores.postgres.fair import FairDatabase
from tests.net.crowded import Crowded

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass
class Calls:
    database: FairDatabase
    turns: Turns
    order: list[Whose] = field(default_factory=list)

    def begin(self, whose: Whose, statement: str = "SELECT 1", write: bool = False) -> asyncio.Task[None]:
        async def call() -> None:
            WHOSE.set(whose)
            await (self.database.write(statement) if write else self.database.read(statement))
            self.order.append(whose)

        return asyncio.create_task(call())


@asynccontextmanager
async def calls(dsn: str, connections: int = 1, most: float = 1.0, deadline: float = 20.0) -> AsyncIterator[Calls]:
    turns = Turns("database", Bounds(connections, most=most))
    options = DatabaseOptions(connections=connections, deadline=deadline, attempt=deadline)
    database = FairDatabase(dsn, options, Unobserved(), turns, WHOSE.get)
    await database.open()
    try:
        yield Calls(database, turns)
    finally:
        await database.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("write", [False, True])
async def test_g16_a_call_stands_behind_one_of_the_many_that_another_tenant_queued(
    migrated_dsn: str, write: bool
) -> None:
    async with calls(migrated_dsn) as c:
        async with c.database.transaction() as held:
            await held.execute("SELECT 1")
            heavy = [c.begin("heavy", write=write) for _ in range(30)]
            await until(lambda: c.turns.waiting == 30)
            assert c.database.stats().waiting == 30
            light = c.begin("light", write=write)
            await until(lambda: c.turns.waiting == 31)
        await asyncio.gather(*heavy, light)
        assert c.order.index("light") <= 1
        assert (c.turns.used, c.turns.waiting) == (0, 0)


async def test_g16_one_tenant_never_holds_all_connections(migrated_dsn: str) -> None:
    async with calls(migrated_dsn, connections=5, most=0.8) as c:
        slow = [c.begin("heavy", "SELECT pg_sleep(0.5)") for _ in range(8)]
        await until(lambda: c.turns.used == 4)
        await c.begin("light")
        assert c.order == ["light"]
        await asyncio.gather(*slow)


async def test_a_call_costs_its_tenant_the_seconds_that_it_holds_a_connection(migrated_dsn: str) -> None:
    async with calls(migrated_dsn, connections=2) as c:
        await c.turns.take("other")
        await c.begin("heavy", "SELECT pg_sleep(0.3)")
        await c.begin("light")
        debts = {whose: of.finish for whose, of in c.turns._classes.items()}
        assert debts["heavy"] >= 0.3
        assert debts["heavy"] - debts["light"] >= 0.1
        c.turns.give_back("other")


@dataclass
class Whoever:
    """On whose behalf work is done."""

    whose: Whose
    goes_on: bool = False


async def test_g16_a_session_that_waits_for_the_event_loop_keeps_no_connection_meanwhile(migrated_dsn: str) -> None:
    """RFC 1939 §4: a login asks the database, and its session goes on with the answer in a turn of its tenant."""
    pace = Crowded(full=False)
    async with calls(migrated_dsn, deadline=2.0) as c:

        async def log_in() -> None:
            await in_turns(pace, c.database.read("SELECT pg_sleep(0.1)"), Whoever("heavy"))

        heavy = asyncio.create_task(log_in())
        await until(lambda: c.turns.used == 1)
        pace.full = True
        await c.begin("light")
        await until(lambda: pace.waiting == 1)
        assert not heavy.done()
        pace.leave()
        await heavy


async def test_f6_a_connection_that_cannot_be_had_gives_its_turn_back() -> None:
    async with calls(NOWHERE, deadline=0.5) as c:
        with pytest.raises(Refusal) as refused:
            await c.begin("acme")
        assert refused.value.reason is Reason.UNAVAILABLE
        assert (c.turns.used, c.turns.waiting) == (0, 0)


async def test_f6_a_call_that_gets_no_turn_in_time_is_refused_as_temporary(migrated_dsn: str) -> None:
    async with calls(migrated_dsn, deadline=0.2) as c:
        await c.turns.take("other")
        with pytest.raises(Refusal) as refused:
            await c.begin("acme")
        assert refused.value.reason is Reason.UNAVAILABLE
        assert (c.turns.used, c.turns.waiting) == (1, 0)
