"""Whose a client is taken to be before it gives a name. G16, and G13 (no name tells it)."""

import asyncio
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import pytest

from service.mail.fairness import Fairness
from service.mail.newcomers import COUNTS_FOR, Newcomers
from service.mail.pace import Pace

HEAVY, LIGHT = uuid4(), uuid4()
FROM_HEAVY = [f"198.51.100.{number}" for number in range(100)]
FROM_LIGHT = "203.0.113.9"


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def newcomers(clock: Clock) -> Newcomers:
    return Newcomers(remembered=3, clock=clock)


def test_an_address_stands_for_the_tenant_that_came_from_it(newcomers: Newcomers) -> None:
    assert newcomers.tenant(FROM_LIGHT) is None
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    assert newcomers.tenant(FROM_LIGHT) == LIGHT
    assert newcomers.tenant(FROM_HEAVY[0]) is None


def test_an_address_that_two_tenants_come_from_is_a_strangers_whoever_came_last(
    newcomers: Newcomers, clock: Clock
) -> None:
    for tenant in (LIGHT, HEAVY, HEAVY, LIGHT, HEAVY, LIGHT):
        newcomers.logged_in(FROM_LIGHT, tenant)
        clock.now += COUNTS_FOR / 2
        newcomers.logged_in(FROM_LIGHT, tenant)
    assert newcomers.tenant(FROM_LIGHT) is None


def test_an_address_that_another_tenant_got_is_its_own_a_day_after_the_formers_last_visit(
    newcomers: Newcomers, clock: Clock
) -> None:
    newcomers.logged_in(FROM_LIGHT, HEAVY)
    clock.now += 100.0
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    clock.now += COUNTS_FOR - 101.0
    assert newcomers.tenant(FROM_LIGHT) is None
    clock.now += 1.0
    assert newcomers.tenant(FROM_LIGHT) == LIGHT


def test_an_address_nobody_logged_in_from_for_a_day_is_a_strangers(newcomers: Newcomers, clock: Clock) -> None:
    newcomers.logged_in(FROM_LIGHT, HEAVY)
    clock.now += COUNTS_FOR - 1.0
    assert newcomers.tenant(FROM_LIGHT) == HEAVY
    clock.now += 1.0
    assert newcomers.tenant(FROM_LIGHT) is None
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    assert newcomers.tenant(FROM_LIGHT) == LIGHT, "what was before doesn't count any more"


def test_g15_of_many_addresses_those_heard_of_longest_ago_are_forgotten(newcomers: Newcomers) -> None:
    newcomers.logged_in(FROM_LIGHT, LIGHT)
    for network in FROM_HEAVY:
        newcomers.logged_in(network, HEAVY)
        newcomers.logged_in(FROM_LIGHT, LIGHT)
    assert newcomers.tenant(FROM_LIGHT) == LIGHT
    assert [network for network in FROM_HEAVY if newcomers.tenant(network) == HEAVY] == FROM_HEAVY[-2:]


def test_where_all_are_one_class_no_address_is_anybodys() -> None:
    fairness = Fairness()
    assert fairness.logged_in(FROM_LIGHT, LIGHT, "user@light.example") is None
    assert fairness.newcomer(FROM_LIGHT) is None
    assert fairness.tenant_of(FROM_LIGHT) is None


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
        pace.soon(newcomers.tenant(network) or network, partial(order.append, network))
    assert not order
    for _ in range(20 * len(FROM_HEAVY)):
        await asyncio.sleep(0)
    assert order.index(FROM_LIGHT) <= 2 if known else order.index(FROM_LIGHT) == len(FROM_HEAVY)
