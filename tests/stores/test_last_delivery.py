"""When the newest message of a maildrop came, in memory and on Postgres."""

from datetime import UTC, datetime, timedelta

from service.mail.tenancy import Maildrops
from service.model.address import parse_address
from service.stores.memory.tenancy import memory_tenancy
from service.stores.postgres.tenancy import postgres_tenancy
from tests.stores.worlds import MemoryWorld, PostgresWorld, World, deliver, message, one_maildrop

ALICE = parse_address("alice@acme.example")


def maildrops_of(world: World) -> Maildrops:
    if isinstance(world, MemoryWorld):
        return memory_tenancy(world.state).maildrops
    assert isinstance(world, PostgresWorld)
    return postgres_tenancy(world.database).maildrops


async def test_the_last_delivery_is_that_of_the_newest_message_removed_or_not(world: World) -> None:
    key = await one_maildrop(world)
    assert await maildrops_of(world).last_delivery("acme", ALICE) is None
    moments = [datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours) for hours in (3, 2)]
    await deliver(world, key, *(message(received=moment) for moment in moments))
    assert await maildrops_of(world).last_delivery("acme", ALICE) == moments[1]
    await world.index.open(key, b"\x01" * 16)
    await world.index.remove(key, b"\x01" * 16, [2])
    assert await maildrops_of(world).last_delivery("acme", ALICE) == moments[1]


async def test_there_is_none_for_a_name_that_is_nobodys_or_another_tenants(world: World) -> None:
    key = await one_maildrop(world)
    await world.tenant("beta")
    await deliver(world, key, message())
    assert await maildrops_of(world).last_delivery("beta", ALICE) is None
    assert await maildrops_of(world).last_delivery("acme", parse_address("bob@acme.example")) is None
