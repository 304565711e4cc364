"""Opening a maildrop again by one statement, in memory and on Postgres: only as it was seen. G4, G11.

RFC 1939 §4: the newest session's fence is written with the same look that finds nothing changed.
"""

import pytest

from service.model.account import Account
from tests.stores.worlds import Secret, World, deliver, message, one_maildrop

FENCE, NEXT = b"\x01" * 16, b"\x02" * 16


async def seen(world: World) -> Account:
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    return account


async def test_an_account_that_is_as_it_was_is_opened_with_what_it_holds_now(world: World) -> None:
    key = await one_maildrop(world)
    await world.credential(key, Secret("verifier"))
    account = await seen(world)
    assert await world.reopening.reopen(account, NEXT) == await world.index.open(key, FENCE)
    assert await world.reopening.reopen(account, NEXT) is not None
    assert await world.index.newest([(key, FENCE), (key, NEXT)]) == {NEXT}
    await deliver(world, key, message())
    assert await seen(world) == account
    drop = await world.reopening.reopen(account, FENCE)
    assert drop is not None
    assert drop == await world.index.open(key, FENCE)
    assert drop.messages == 1


@pytest.mark.parametrize("change", ["credential", "suspension", "removal"])
async def test_g11_what_has_changed_is_not_opened_and_its_fence_stays(world: World, change: str) -> None:
    key = await one_maildrop(world)
    await world.credential(key, Secret("verifier"))
    account = await seen(world)
    await world.index.open(key, FENCE)
    if change == "credential":
        await world.credential(key, Secret("another", label="another"))
    else:
        await world.set_status(key, "suspended" if change == "suspension" else "removed")
    assert await world.reopening.reopen(account, NEXT) is None
    assert await world.index.newest([(key, FENCE), (key, NEXT)]) == {FENCE}


async def test_who_was_suspended_when_seen_is_not_opened(world: World) -> None:
    key = await one_maildrop(world)
    await world.set_status(key, "suspended")
    assert await world.reopening.reopen(await seen(world), FENCE) is None
    assert await world.index.newest([(key, FENCE)]) == set()
