"""Whose a client is taken to be before it gives a name. G16, and G13 (no name tells it)."""

import asyncio
from functools import partial
from uuid import uuid4

import pytest

from service.mail.newcomers import Newcomers
from service.mail.pace import Pace

HEAVY, LIGHT = uuid4(), uuid4()
FROM_HEAVY = [f"198.51.100.{number}" for number in range(100)]
FROM_LIGHT = "203.0.113.9"


def test_an_address_stands_for_the_tenant_that_came_from_it() -> None:
    newcomers = Newcomers()
    assert newcomers.whose(FROM_LIGHT) == FROM_LIGHT
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    assert newcomers.whose(FROM_LIGHT) == LIGHT
    assert newcomers.whose(FROM_HEAVY[0]) == FROM_HEAVY[0]


def test_an_address_that_two_tenants_came_from_is_a_strangers_again_whoever_comes_next() -> None:
    newcomers = Newcomers()
    for tenant in (LIGHT, HEAVY, HEAVY, LIGHT):
        newcomers.logged_in(FROM_LIGHT, tenant)
    assert newcomers.whose(FROM_LIGHT) == FROM_LIGHT


def test_g15_of_many_addresses_the_first_are_forgotten() -> None:
    newcomers = Newcomers(remembered=3)
    for network in FROM_HEAVY:
        newcomers.logged_in(network, HEAVY)
    assert [network for network in FROM_HEAVY if newcomers.whose(network) == HEAVY] == FROM_HEAVY[-3:]


@pytest.mark.parametrize("known", [True, False])
async def test_g16_a_busy_tenants_newcomers_keep_few_others_waiting(known: bool) -> None:
    """A step of each of a hundred addresses; where none is known, another's waits for all of them."""
    newcomers, pace, order = Newcomers(), Pace(1), list[str]()
    if known:
        for network in FROM_HEAVY:
            newcomers.logged_in(network, HEAVY)
        newcomers.logged_in(FROM_LIGHT, LIGHT)
    # The round is full, so that all of them wait.
    pace.ended("a third", 1.0)
    for network in [*FROM_HEAVY, FROM_LIGHT]:
        pace.soon(newcomers.whose(network), partial(order.append, network))
    assert not order
    for _ in range(20 * len(FROM_HEAVY)):
        await asyncio.sleep(0)
    assert order.index(FROM_LIGHT) <= 2 if known else order.index(FROM_LIGHT) == len(FROM_HEAVY)
