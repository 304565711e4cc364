"""Whose a domain is, in memory and on Postgres: the same whether or not the name before it exists. G13."""

import pytest

from service.mail.ports import DomainOwners
from service.stores.memory.owners import MemoryDomainOwners
from service.stores.postgres.owners import PostgresDomainOwners
from tests.stores.worlds import MemoryWorld, PostgresWorld, World, one_maildrop


def owners_of(world: World) -> DomainOwners:
    if isinstance(world, MemoryWorld):
        return MemoryDomainOwners(world.state)
    assert isinstance(world, PostgresWorld)
    return PostgresDomainOwners(world.database)


async def test_a_domain_has_its_tenants_id_and_name(world: World) -> None:
    key = await one_maildrop(world)
    assert await owners_of(world).owner("acme.example") == (key.tenant_id, "acme")


async def test_a_suspended_domain_is_still_its_tenants(world: World) -> None:
    tenant = await world.tenant("acme")
    await world.domain(tenant, "closed.example", "suspended")
    assert await owners_of(world).owner("closed.example") == (tenant, "acme")


@pytest.mark.parametrize("domain", ["", "nowhere.example", "example", "x' OR 1=1--"])
async def test_a_domain_that_nobody_has_is_nobodys(world: World, domain: str) -> None:
    await one_maildrop(world)
    assert await owners_of(world).owner(domain) is None


async def test_a_removed_domain_is_nobodys(world: World) -> None:
    await world.domain(await world.tenant("acme"), "gone.example", "removed")
    assert await owners_of(world).owner("gone.example") is None
