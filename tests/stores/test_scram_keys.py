"""Keys for SCRAM that a front end adds: beside exactly the verifier it verified, in nobody's place. G10, G11.

The same on the in-memory twin and on Postgres. RFC 5803 §1.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.model.account import Credential, MaildropKey
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram
from service.stores.postgres.verifiers import ADD_SCRAM
from tests.stores.test_verifiers import ALICE, BOB, OLD, account, two_maildrops, verifiers_of
from tests.stores.worlds import PostgresWorld, World

KEYS = derive_scram("pencil", b"a salt of sixteen", 4096)
OTHERS = derive_scram("crayon", b"a salt of sixteen", 4096)


async def credential(world: World, name: str = ALICE) -> Credential:
    (found,) = (await account(world, name)).credentials
    return found


async def test_keys_are_put_beside_the_verifier_and_nothing_else_changes(world: World) -> None:
    key, _ = await two_maildrops(world)
    before, bobs = await credential(world), await credential(world, BOB)
    assert await verifiers_of(world).add_scram(key, before.credential_id, OLD, KEYS)
    assert await credential(world) == replace(before, scram=KEYS.verifier)
    assert await credential(world, BOB) == bobs


async def test_the_same_keys_may_be_added_twice_and_no_others(world: World) -> None:
    key, _ = await two_maildrops(world)
    which = (await credential(world)).credential_id
    verifiers = verifiers_of(world)
    assert [await verifiers.add_scram(key, which, OLD, keys) for keys in (KEYS, KEYS, OTHERS)] == [True, True, False]
    assert (await credential(world)).scram == KEYS.verifier


async def test_keys_of_a_password_that_changed_meanwhile_are_not_added(world: World) -> None:
    key, _ = await two_maildrops(world)
    which = (await credential(world)).credential_id
    assert not await verifiers_of(world).add_scram(key, which, "another verifier", KEYS)
    assert (await credential(world)).scram is None


async def test_keys_are_added_only_by_the_whole_name_of_a_credential(world: World) -> None:
    alice, bob = await two_maildrops(world)
    which = (await credential(world)).credential_id
    verifiers = verifiers_of(world)
    mixed = (MaildropKey(bob.tenant_id, alice.maildrop_id), MaildropKey(alice.tenant_id, bob.maildrop_id), bob)
    for key in mixed:
        assert not await verifiers.add_scram(key, which, OLD, KEYS)
    assert not await verifiers.add_scram(alice, uuid4(), OLD, KEYS)
    assert (await credential(world)).scram is (await credential(world, BOB)).scram is None


@pytest.mark.parametrize("how", [{"status": "suspended"}, {"expires": datetime.now(UTC) - timedelta(days=1)}])
async def test_g11_a_suspended_or_expired_credential_gets_no_keys(
    postgres_world: PostgresWorld, how: dict[str, str | datetime]
) -> None:
    key, _ = await two_maildrops(postgres_world)
    which = (await credential(postgres_world)).credential_id
    for column, value in how.items():
        await postgres_world.owner.execute(f"UPDATE credentials SET {column} = $1", value)  # noqa: S608
    assert not await verifiers_of(postgres_world).add_scram(key, which, OLD, KEYS)


@pytest.mark.parametrize(
    "text",
    ["", "pencil", KEYS.verifier + "\n", " " + KEYS.verifier, KEYS.verifier.replace("256", "1"), KEYS.verifier[:-4]],
)
async def test_what_is_no_key_is_refused_by_the_database_itself(postgres_world: PostgresWorld, text: str) -> None:
    key, _ = await two_maildrops(postgres_world)
    which = (await credential(postgres_world)).credential_id
    with pytest.raises(Refusal) as refused:
        await postgres_world.database.read(ADD_SCRAM, key.tenant_id, key.maildrop_id, which, OLD, text)
    assert refused.value.reason is Reason.INVALID
    assert (await credential(postgres_world)).scram is None
