"""When credentials were last used: in memory, and on Postgres with a front end's own login. G10, G11."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from service.mail.uses import EVERY, LastUses, Uses
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.stores.memory.uses import MemoryLastUses
from service.stores.postgres.uses import PostgresLastUses
from tests.mail.house import SECRET, House
from tests.mail.provider import SetClock
from tests.stores.test_migrations import as_login
from tests.stores.test_verifiers import account, two_maildrops
from tests.stores.worlds import MemoryWorld, PostgresWorld, World

HOUR = timedelta(hours=1)


def uses_of(world: World) -> LastUses:
    if isinstance(world, MemoryWorld):
        return MemoryLastUses(world.state)
    assert isinstance(world, PostgresWorld)
    return PostgresLastUses(world.database)


async def last_used(world: World, key: MaildropKey) -> datetime | None:
    if isinstance(world, MemoryWorld):
        return next(row.last_used for row in world.state.credentials if row.key == key)
    assert isinstance(world, PostgresWorld)
    statement = "SELECT last_used FROM credentials WHERE tenant_id = $1 AND maildrop_id = $2"
    used: datetime | None = await world.owner.fetchval(statement, key.tenant_id, key.maildrop_id)
    return used


async def test_a_use_is_kept_and_not_again_within_its_time(world: World) -> None:
    alice, bob = await two_maildrops(world)
    which = (await account(world)).credentials[0].credential_id
    before = datetime.now(UTC) - timedelta(minutes=1)
    await uses_of(world).note(alice, which, HOUR)
    first = await last_used(world, alice)
    assert first is not None
    assert first > before
    await uses_of(world).note(alice, which, HOUR)
    assert await last_used(world, alice) == first
    await uses_of(world).note(alice, which, timedelta(0))
    assert (await last_used(world, alice) or first) > first
    assert await last_used(world, bob) is None


async def test_g10_a_use_is_kept_only_in_the_credentials_own_maildrop_and_tenant(world: World) -> None:
    alice, bob = await two_maildrops(world)
    which = (await account(world)).credentials[0].credential_id
    for key in (bob, alice._replace(tenant_id=bob.tenant_id), alice._replace(maildrop_id=bob.maildrop_id)):
        await uses_of(world).note(key, which, HOUR)
    assert await last_used(world, alice) is await last_used(world, bob) is None


async def test_a_front_end_keeps_a_use_by_the_function_alone(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    alice, _ = await two_maildrops(postgres_world)
    which = (await account(postgres_world)).credentials[0].credential_id
    front = await as_login(migrated_dsn, "poplar_front")
    with pytest.raises(Refusal, match="42501"):
        await front.read("UPDATE credentials SET last_used = now()")
    await PostgresLastUses(front).note(alice, which, EVERY)
    assert await last_used(postgres_world, alice) is not None
    await front.close()


async def test_a_use_touches_no_index(migrated_dsn: str) -> None:
    owner = await asyncpg.connect(migrated_dsn)
    options = await owner.fetchval("SELECT reloptions FROM pg_class WHERE relname = 'credentials'")
    indexed = await owner.fetchval("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%last_used%'")
    await owner.close()
    assert (options, indexed) == (["fillfactor=85"], 0)


class Counting:
    """Last uses that count how often they are asked, and fail as told."""

    def __init__(self) -> None:
        self.asked: list[UUID] = []
        self.away = False

    async def note(self, key: MaildropKey, credential_id: UUID, every: timedelta) -> None:
        self.asked.append(credential_id)
        if self.away:
            raise Refusal(Reason.UNAVAILABLE, "told to fail")


@pytest.mark.parametrize("away", [False, True])
async def test_a_login_that_is_repeated_asks_again_only_after_the_time_or_a_failure(away: bool) -> None:
    clock, counting = SetClock(), Counting()
    counting.away = away
    house = await House(clock=clock).furnish()
    uses = Uses(counting, clock)
    login = replace(house.login, uses=uses)
    house.login = login
    for _ in range(3):
        await house.update.close(await house.open(SECRET))
        await uses.settled()
    assert len(counting.asked) == (3 if away else 1)
    clock.seconds = EVERY.total_seconds()
    await house.update.close(await house.open(SECRET))
    await uses.settled()
    assert len(counting.asked) == (4 if away else 2)
    assert len(set(counting.asked)) == 1


async def test_a_refused_login_is_no_use() -> None:
    counting = Counting()
    house = await House().furnish()
    uses = Uses(counting, house.clock)
    house.login = replace(house.login, uses=uses)
    with pytest.raises(Refusal):
        await house.open("wrong")
    await uses.settled()
    assert counting.asked == []
