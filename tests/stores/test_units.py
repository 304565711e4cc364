"""Units: several acts that are kept together or not at all, in memory and on Postgres."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from service.mail.tenancy import Act
from service.mail.units import Unit, Units
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import MemoryState
from service.stores.memory.units import MemoryUnits
from service.stores.postgres.database import Database
from service.stores.postgres.units import CONFINE, PostgresUnits

ACME = Act("tester", "acme")
ADA = parse_address("ada@acme.example")


@pytest.fixture
async def units(world_dsn: str | None) -> AsyncIterator[Units]:
    if world_dsn is None:
        yield MemoryUnits(MemoryState())
        return
    database = Database(world_dsn)
    await database.open()
    yield PostgresUnits(database)
    await database.close()


async def fill(unit: Unit) -> None:
    await unit.tenancy.tenants.create(ACME, {})
    await unit.tenancy.domains.create(ACME, "acme.example")
    await unit.tenancy.maildrops.create(ACME, ADA, {})


async def test_what_a_unit_did_is_kept_when_it_ends(units: Units) -> None:
    async with units.open(None) as unit:
        await fill(unit)
    async with units.open(None) as unit:
        assert await unit.tenancy.maildrops.find("acme", ADA) is not None
        assert len(await unit.tenancy.audit.newest("acme", 10)) == 3


async def test_a_unit_that_raises_keeps_nothing(units: Units) -> None:
    async def broken() -> None:
        async with units.open(None) as unit:
            await fill(unit)
            raise Refusal(Reason.INVALID, "later")

    with pytest.raises(Refusal, match="later"):
        await broken()
    async with units.open(None) as unit:
        assert await unit.tenancy.tenants.find("acme") is None
        assert await unit.tenancy.domains.find("acme.example") is None


async def test_a_refused_act_does_not_end_the_unit(units: Units) -> None:
    async with units.open(None) as unit:
        await fill(unit)
        with pytest.raises(Refusal, match="already"):
            await unit.tenancy.maildrops.create(ACME, ADA, {})
        await unit.tenancy.maildrops.create(ACME, parse_address("bob@acme.example"), {})
    async with units.open(None) as unit:
        assert (await unit.tenancy.tenants.usage("acme")).maildrops == 2


async def test_a_role_that_isn_t_there_is_a_fault_of_the_service(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stores.postgres.units.CONFINE", CONFINE.replace("poplar_delegate", "poplar_nobody"))
    database = Database(migrated_dsn)
    await database.open()
    with pytest.raises(Refusal) as refused:
        async with PostgresUnits(database).open(uuid4()):
            pass
    await database.close()
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_only_what_is_there_can_be_held(units: Units) -> None:
    async with units.open(None) as unit:
        await fill(unit)
        await unit.holds.tenant("acme")
        await unit.holds.domain("acme", "acme.example")
        await unit.holds.maildrop("acme", ADA)
        for hold in (
            unit.holds.tenant("nobody"),
            unit.holds.domain("acme", "acme.test"),
            unit.holds.domain("nobody", "acme.example"),
            unit.holds.maildrop("acme", parse_address("eve@acme.example")),
        ):
            with pytest.raises(Refusal, match="no"):
                await hold


async def test_a_tenant_is_removed_with_the_maildrop_that_comes_to_be_meanwhile(migrated_dsn: str) -> None:
    database, watch = Database(migrated_dsn), await asyncpg.connect(migrated_dsn)
    await database.open()
    units = PostgresUnits(database)

    async def remove() -> None:
        async with units.open(None) as unit:
            await unit.holds.tenant("acme")
            await unit.tenancy.tenants.remove(ACME, cascade=True)

    async with units.open(None) as unit:
        await fill(unit)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with units.open(None) as unit:
        await unit.holds.domain("acme", "acme.example")
        removal = asyncio.create_task(remove())
        while not await watch.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await unit.tenancy.maildrops.create(ACME, parse_address("bob@acme.example"), {})
    await removal
    assert await watch.fetch("SELECT FROM maildrops WHERE status <> 'removed'") == []
    await watch.close()
    await database.close()
