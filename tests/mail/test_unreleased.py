"""Leases that could not be given back when their sessions ended are given back soon after the store is back. F3; G6.

RFC 1939 §6: after UPDATE the server "then releases any exclusive-access lock on the maildrop".
"""

import asyncio

import pytest

from service.mail import unreleased
from service.mail.unreleased import PAUSE, TRIES
from service.model.refusal import Reason, Refusal
from tests.mail.test_leases import a_house

pytestmark = pytest.mark.asyncio


async def test_g6_a_maildrop_whose_release_failed_is_free_at_the_next_renewal_that_reaches_the_store() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    await house.renew()
    house.locks.away = False
    with pytest.raises(Refusal) as refused:
        await house.session("early")
    assert refused.value.reason is Reason.IN_USE
    await house.renew()
    assert (await house.session("next")).guarded


async def test_g6_a_release_that_never_succeeds_is_not_tried_for_ever() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    for _ in range(TRIES):
        assert len(house.leases._unreleased) == 1
        await house.renew()
    assert len(house.leases._unreleased) == 0


async def test_g6_a_maildrop_whose_release_failed_is_free_before_the_next_renewal() -> None:
    house = await a_house()
    first = await house.session("only")
    house.locks.away = True
    await house.update.close(first)
    house.locks.released_in_vain.clear()
    releasing = asyncio.create_task(house.leases.keep_releasing())
    await house.locks.released_in_vain.wait()
    house.locks.away = False
    await house.locks.released.wait()
    second = await house.session("next")
    assert second.guarded
    house.locks.released.clear()
    house.locks.away = True
    await house.update.close(second)
    house.locks.away = False
    await house.locks.released.wait()
    assert (await house.session("after another outage")).guarded
    releasing.cancel()


async def test_g6_a_process_that_ends_frees_what_it_could_not_free_before() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    house.locks.released_in_vain.clear()
    ending = asyncio.create_task(house.leases.finish())
    await house.locks.released_in_vain.wait()
    house.locks.away = False
    await ending
    assert (await house.session("next")).guarded


async def test_g6_a_process_that_ends_waits_for_a_store_that_is_away_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unreleased, "LAST", PAUSE / 2)
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    await house.leases.finish()
    assert len(house.leases._unreleased) == 1
