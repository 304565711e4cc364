"""Staff remove what holds many messages: that may take longer than any other act of theirs. G1, RFC 1939 §8."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.mail.tenancy import Act, Tenancy
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.units import PostgresUnits
from tests.stores.test_postgres_round_trips import COUNT, FILL
from tests.stores.worlds import PostgresWorld, one_maildrop

STAFF = Act("tester", "acme")
ALICE = parse_address("alice@acme.example")
MANY = 3000
# Each statement that marks messages takes longer than an act may.
SLOW = """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;
CREATE TRIGGER linger AFTER UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION linger();
"""


@pytest.fixture
async def hasty(
    postgres_world: PostgresWorld, migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database whose acts have a second, and a maildrop with many messages."""
    monkeypatch.setattr("service.stores.postgres.large.ROWS_A_SECOND", 100)
    key = await one_maildrop(postgres_world)
    owner: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(migrated_dsn)
    await owner.execute(FILL, key.tenant_id, key.maildrop_id, MANY)
    await owner.execute(COUNT, key.tenant_id, key.maildrop_id, MANY)
    await owner.execute(SLOW)
    await owner.close()
    database = Database(migrated_dsn, DatabaseOptions(deadline=1.0))
    await database.open()
    yield database
    await database.close()


async def removed(tenancy: Tenancy, what: str) -> None:
    match what:
        case "maildrop":
            assert await tenancy.maildrops.remove(STAFF, ALICE) == MANY
        case "domain":
            await tenancy.domains.remove(STAFF, "acme.example", cascade=True)
        case "tenant":
            await tenancy.tenants.remove(STAFF, cascade=True)


@pytest.mark.parametrize("what", ["maildrop", "domain", "tenant"])
async def test_a_removal_of_many_messages_has_the_time_that_it_takes(hasty: Database, what: str) -> None:
    async with PostgresUnits(hasty).open(None) as unit:
        await removed(unit.tenancy, what)
        assert await unit.tenancy.maildrops.find("acme", ALICE) is None
    (left,) = await hasty.read("SELECT count(*) FROM messages WHERE removed_at IS NULL")
    assert left[0] == 0


async def test_another_act_has_no_more_time_for_it(hasty: Database) -> None:
    async def slow() -> None:
        async with hasty.transaction() as connection:
            await connection.execute("SELECT pg_sleep(3600)")

    with pytest.raises(Refusal) as refused:
        await slow()
    assert refused.value.reason is Reason.UNAVAILABLE
