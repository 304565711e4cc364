"""Renewed verifiers: put in the place of exactly the old one, and nothing else comes of it. G10, G11.

The same on the in-memory twin and on Postgres; there with the login of a front end, under an owner who is no
superuser.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from service.app.hashing import open_verification
from service.mail.ports import Verifiers
from service.model.account import Account, MaildropKey
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram
from service.settings.behaviour import HashingSettings
from service.stores.memory.verifiers import MemoryVerifiers
from service.stores.passwords import Cost
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.logins import GROUPS
from service.stores.postgres.migrate import migrate
from service.stores.postgres.verifiers import REPLACE, PostgresVerifiers
from tests.stores.test_migrations import as_login, login_dsn
from tests.stores.worlds import MemoryWorld, PostgresWorld, Secret, World, one_maildrop

ALICE, BOB = "alice@acme.example", "bob@beta.example"
OLD = "{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO"
"""Of the password `test`."""
WITH_OWNERS_RIGHTS = {
    "add_scram_keys": "poplar_front",
    "expire_messages": "poplar_sweep",
    "expire_retrieved": "poplar_sweep",
    "provide_maildrop": "poplar_front poplar_lmtp",
    "remove_messages": "poplar_front",
    "replace_verifier": "poplar_front",
    "use_credential": "poplar_front",
}
"""Each function that runs with its owner's rights, and the roles that alone may call it."""
NEW = Cost().form + "A" * 22 + "$" + "B" * 43


def verifiers_of(world: World) -> Verifiers:
    if isinstance(world, MemoryWorld):
        return MemoryVerifiers(world.state)
    assert isinstance(world, PostgresWorld)
    return PostgresVerifiers(world.database)


async def account(world: World, name: str = ALICE) -> Account:
    found = await world.directory.find(name)
    assert found is not None
    return found


async def stored(world: World, name: str = ALICE) -> list[str]:
    return [credential.verifier for credential in (await account(world, name)).credentials]


async def two_maildrops(world: World) -> tuple[MaildropKey, MaildropKey]:
    """Alice's of acme and Bob's of beta, each with the same verifier."""
    alice = await one_maildrop(world)
    beta = await world.tenant("beta")
    await world.domain(beta, "beta.example")
    bob = await world.maildrop(beta, BOB)
    for key in (alice, bob):
        await world.credential(key, Secret(OLD, "main"))
    return alice, bob


async def test_a_verifier_takes_the_place_of_exactly_the_old_one(world: World) -> None:
    key, _ = await two_maildrops(world)
    await world.credential(key, Secret(OLD, "phone"))
    first, second = (await account(world)).credentials
    assert await verifiers_of(world).replace(key, first.credential_id, OLD, NEW)
    after = {c.credential_id: c.verifier for c in (await account(world)).credentials}
    assert after == {first.credential_id: NEW, second.credential_id: OLD}
    assert await stored(world, BOB) == [OLD]


async def test_a_verifier_that_changed_meanwhile_stays(world: World) -> None:
    key, _ = await two_maildrops(world)
    which = (await account(world)).credentials[0].credential_id
    assert not await verifiers_of(world).replace(key, which, "another", NEW)
    assert await stored(world) == [OLD]


async def test_a_repetition_after_a_lost_answer_says_the_same(world: World) -> None:
    key, _ = await two_maildrops(world)
    which = (await account(world)).credentials[0].credential_id
    for _ in range(2):
        assert await verifiers_of(world).replace(key, which, OLD, NEW)


async def test_g10_a_credential_is_found_only_in_its_own_maildrop_and_tenant(world: World) -> None:
    alice, bob = await two_maildrops(world)
    which = (await account(world)).credentials[0].credential_id
    elsewhere = (bob, alice._replace(tenant_id=bob.tenant_id), alice._replace(maildrop_id=bob.maildrop_id))
    for key in elsewhere:
        assert not await verifiers_of(world).replace(key, which, OLD, NEW)
    assert not await verifiers_of(world).replace(alice, uuid4(), OLD, NEW)
    assert await stored(world) == await stored(world, BOB) == [OLD]


@pytest.mark.parametrize("how", [{"status": "suspended"}, {"expires": datetime.now(UTC) - timedelta(days=1)}])
async def test_g11_a_suspended_or_expired_credential_is_left_alone(
    postgres_world: PostgresWorld, how: dict[str, str | datetime]
) -> None:
    key, _ = await two_maildrops(postgres_world)
    which = (await account(postgres_world)).credentials[0].credential_id
    for column, value in how.items():
        await postgres_world.owner.execute(f"UPDATE credentials SET {column} = $1", value)  # noqa: S608
    assert not await PostgresVerifiers(postgres_world.database).replace(key, which, OLD, NEW)


@dataclass
class Front:
    """A front end's own login, on a database whose owner is no superuser."""

    database: Database
    world: PostgresWorld
    key: MaildropKey


@pytest.fixture
async def front(postgres_dsn: str) -> AsyncIterator[Front]:
    root = await asyncpg.connect(postgres_dsn)
    name = await root.fetchval("SELECT current_database()")
    await root.execute(f"CREATE ROLE owner_{name} LOGIN CREATEROLE PASSWORD 'x'")
    await root.execute(f"ALTER DATABASE {name} OWNER TO owner_{name}")
    dsn = login_dsn(postgres_dsn, f"owner_{name}", "x")
    await migrate(dsn)
    everything = Database(dsn)
    await everything.open()
    world = PostgresWorld(everything, root)
    key, _ = await two_maildrops(world)
    database = await as_login(postgres_dsn, "poplar_front")
    yield Front(database, world, key)
    await database.close()
    await everything.close()
    await root.execute(f"REASSIGN OWNED BY owner_{name} TO CURRENT_USER")
    await root.execute(f"DROP OWNED BY owner_{name}")
    await root.execute(f"DROP ROLE owner_{name}")
    await root.close()


async def test_a_front_end_renews_a_verifier_that_it_could_not_write(front: Front) -> None:
    which = (await account(front.world)).credentials[0].credential_id
    with pytest.raises(Refusal) as refused:
        await front.database.read("UPDATE credentials SET verifier = $1", NEW)
    assert "42501" in refused.value.cause
    assert await PostgresVerifiers(front.database).replace(front.key, which, OLD, NEW)
    assert (await stored(front.world), await stored(front.world, BOB)) == ([NEW], [OLD])


@pytest.mark.parametrize("new", ["", "$plain$mine", OLD, "{PLAIN}x", NEW + "\n", "x" + NEW, NEW.replace("A", "'")])
async def test_a_front_end_can_put_nothing_but_argon2id_in_its_place(front: Front, new: str) -> None:
    which = (await account(front.world)).credentials[0].credential_id
    with pytest.raises(Refusal) as refused:
        await PostgresVerifiers(front.database).replace(front.key, which, OLD, new)
    assert refused.value.reason is Reason.INVALID
    assert await stored(front.world) == [OLD]


async def test_a_front_end_gets_nothing_by_guessing_or_by_nulls(front: Front) -> None:
    key, which = front.key, (await account(front.world)).credentials[0].credential_id
    values = [key.tenant_id, key.maildrop_id, which, OLD, NEW]
    for place in range(4):
        rows = await front.database.read(REPLACE, *[None if n == place else value for n, value in enumerate(values)])
        assert rows[0][0] is False
    for pattern in ("%", ".*", OLD[:-1], OLD.lower()):
        rows = await front.database.read(REPLACE, *values[:3], pattern, NEW)
        assert rows[0][0] is False
    assert await stored(front.world) == await stored(front.world, BOB) == [OLD]


async def test_a_front_end_cannot_lead_the_function_astray(front: Front) -> None:
    """Its own table and operator of the same names, first in its search path, are not the function's."""
    which = (await account(front.world)).credentials[0].credential_id
    await front.database.read("CREATE TEMP TABLE credentials (verifier text)")
    await front.database.read("SELECT set_config('search_path', 'pg_temp, public', false)")
    assert await PostgresVerifiers(front.database).replace(front.key, which, OLD, NEW)
    assert await stored(front.world) == [NEW]


async def test_a_front_end_adds_keys_for_scram_though_it_may_write_no_credential(front: Front) -> None:
    which = (await account(front.world)).credentials[0].credential_id
    keys = derive_scram("test", b"a salt of sixteen", 4096)
    with pytest.raises(Refusal):
        await front.database.read("UPDATE credentials SET scram = $1", keys.verifier)
    assert await PostgresVerifiers(front.database).add_scram(front.key, which, OLD, keys)
    assert [c.scram for name in (ALICE, BOB) for c in (await account(front.world, name)).credentials] == [
        keys.verifier,
        None,
    ]


@pytest.mark.parametrize(("function", "roles"), WITH_OWNERS_RIGHTS.items())
async def test_a_function_is_pinned_and_open_to_its_roles_alone(
    postgres_world: PostgresWorld, function: str, roles: str
) -> None:
    row = await postgres_world.owner.fetchrow(
        "SELECT prosecdef, proconfig, array(SELECT g FROM unnest($1::text[]) g"
        " WHERE has_function_privilege(g, p.oid, 'EXECUTE')) AS may,"
        " has_function_privilege('public', p.oid, 'EXECUTE') AS everyone"
        " FROM pg_proc p WHERE proname = $2 AND prosecdef",
        [*GROUPS, "poplar_delegate"],
        function,
    )
    assert row is not None
    assert (row["prosecdef"], row["proconfig"]) == (True, ['search_path=""'])
    assert (row["may"], row["everyone"]) == (roles.split(), False)


async def test_no_other_function_has_its_owners_rights(postgres_world: PostgresWorld) -> None:
    rows = await postgres_world.owner.fetch(
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert sorted(row["proname"] for row in rows) == sorted(WITH_OWNERS_RIGHTS)


async def test_a_login_by_the_whole_of_a_front_end_renews_the_verifier_and_remembers_the_password(
    front: Front,
) -> None:
    settings = HashingSettings(threads=1, queue=4)
    directory = PostgresDirectory(front.database)
    async with open_verification(settings, front.database) as verification:
        assert await verification(await directory.find(ALICE), "test")
        await verification.renewals.settled()
        renewed = (await stored(front.world))[0]
        assert renewed.startswith(Cost().form)
        assert await verification(await directory.find(ALICE), "test")
        assert len(verification.verdicts) == 2
        assert await verification(await directory.find(ALICE), "Test") is None
    assert await stored(front.world) == [renewed]


Counted = Callable[[str, str], float]


@pytest.fixture
def counted() -> Counted:
    """How much a counter has, with this outcome."""
    from prometheus_client import REGISTRY

    return lambda name, outcome: REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


async def test_what_was_remembered_and_renewed_is_counted(front: Front, counted: Counted) -> None:
    def counts() -> list[float]:
        remembered = [counted("poplar_remembered_logins_total", outcome) for outcome in ("hit", "miss")]
        return [*remembered, counted("poplar_verifiers_renewed_total", "replaced")]

    before = counts()
    async with open_verification(HashingSettings(threads=1), front.database) as verification:
        found = await PostgresDirectory(front.database).find(ALICE)
        assert await verification(found, "test")
        await verification.renewals.settled()
        assert await verification(found, "test")
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1]
