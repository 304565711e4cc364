"""Outside directories behind a query: one suite, on a real Postgres and a real MariaDB.

RFC 5803 §1 (keys for SCRAM in their stored form), RFC 3206 §4 (what is unclear is transient).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import asyncmy
import asyncpg
import pytest

from service.mail.outside.ports import AwayError, OutsideDirectory
from service.model.address import parse_address
from service.model.outside import Question, Stored
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram
from service.stores.directories.mysql_query import MySqlQuery
from service.stores.directories.postgres_query import PostgresQuery
from service.stores.directories.rows import MOST_ROWS
from tests.backends.mariadb import DATABASE, PASSWORD, USER, MariaDb, mariadb_server
from tests.stores.wiretap import silent

pytestmark = pytest.mark.asyncio

__all__ = ["mariadb_server"]

X = "{SSHA}x"
QUERY = "SELECT password AS verifier FROM people WHERE address = {}"
TABLE = (
    "CREATE TABLE people (address varchar(200), local varchar(64), domain varchar(200), "
    "password varchar(200), kscram varchar(200), device varchar(64))"
)
ROW = "INSERT INTO people VALUES ({}, {}, {}, {}, {}, {})"


SLOW = "SELECT CASE WHEN local = 'ada' THEN 60 ELSE password END AS verifier FROM people WHERE address = {}"


class Query(OutsideDirectory, Protocol):
    def close(self) -> None: ...


class Vendor(Protocol):
    async def run(self, statement: str, *values: str | None) -> None: ...
    def ask(self, query: str, parameters: Sequence[str] = ("address",)) -> Query: ...
    async def end_sessions(self) -> None: ...


@dataclass
class PostgresVendor:
    connection: "asyncpg.Connection[asyncpg.Record]"
    url: str

    async def run(self, statement: str, *values: str | None) -> None:
        await self.connection.execute(statement.format(*(f"${n}" for n in range(1, 9))), *values)

    def ask(self, query: str, parameters: Sequence[str] = ("address",)) -> Query:
        return PostgresQuery("crm", self.url, query.format("$1", "$2", "$3"), parameters)

    async def end_sessions(self) -> None:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'poplar directory'"
        await self.connection.execute(statement)


@dataclass
class MariaVendor:
    connection: asyncmy.connection.Connection
    url: str

    async def run(self, statement: str, *values: str | None) -> None:
        async with self.connection.cursor() as cursor:
            await cursor.execute(statement.format(*["%s"] * 8), values)

    def ask(self, query: str, parameters: Sequence[str] = ("address",)) -> Query:
        return MySqlQuery("crm", self.url, query.format("?", "?", "?"), parameters)

    async def end_sessions(self) -> None:
        async with self.connection.cursor() as cursor:
            await cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> connection_id()")
            for (number,) in await cursor.fetchall():
                await cursor.execute(f"KILL {number}")


@pytest.fixture(params=["postgres_dsn", "mariadb_server"])
def server(request: pytest.FixtureRequest) -> str | MariaDb:
    """The DSN of an empty Postgres, or a MariaDB."""
    started: str | MariaDb = request.getfixturevalue(request.param)
    return started


@pytest.fixture
async def vendor(server: str | MariaDb) -> AsyncIterator[Vendor]:
    """A database with an empty table of people."""
    async for each in _postgres(server) if isinstance(server, str) else _mariadb(server):
        yield each


async def _postgres(dsn: str) -> AsyncIterator[Vendor]:
    connection = await asyncpg.connect(dsn)
    vendor = PostgresVendor(connection, dsn)
    await vendor.run(TABLE)
    yield vendor
    await connection.close()


async def _mariadb(server: MariaDb) -> AsyncIterator[Vendor]:
    login = {"user": USER, "password": PASSWORD, "database": DATABASE}
    connection = await asyncmy.connect(host="127.0.0.1", port=server.port, autocommit=True, **login)
    vendor = MariaVendor(connection, server.url)
    await vendor.run("DROP TABLE IF EXISTS people")
    await vendor.run(TABLE)
    yield vendor
    connection.close()


async def add(vendor: Vendor, address: str, password: str | None = X, scram: str = "", device: str = "") -> None:
    local, _, domain = address.rpartition("@")
    await vendor.run(ROW, address, local, domain, password, scram or None, device or None)


def question(address: str) -> Question:
    return Question(parse_address(address), "acme")


async def verifiers(directory: OutsideDirectory, address: str) -> list[str] | None:
    answer = await directory.ask(question(address))
    assert answer is None or isinstance(answer, Stored)
    return None if answer is None else [each.verifier for each in answer.credentials]


async def test_it_brings_what_is_stored_for_an_address_and_none_for_a_stranger(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example")
    directory = vendor.ask(QUERY)
    assert await verifiers(directory, "ada@acme.example") == ["{SSHA}x"]
    assert await verifiers(directory, "bob@acme.example") is None
    directory.close()


async def test_somebody_without_a_password_is_known_and_has_no_credential(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example", None)
    directory = vendor.ask(QUERY)
    assert await verifiers(directory, "ada@acme.example") == []
    directory.close()


async def test_each_row_is_a_password_with_its_keys_and_its_name(vendor: Vendor) -> None:
    keys = derive_scram("good pass", b"0123456789abcdef").verifier
    await add(vendor, "ada@acme.example", scram=keys, device="phone")
    await add(vendor, "ada@acme.example", "{SSHA}y")
    query = (
        "SELECT password AS verifier, kscram AS scram, device AS label FROM people WHERE address = {} ORDER BY device"
    )
    directory = vendor.ask(query)
    answer = await directory.ask(question("ada@acme.example"))
    assert isinstance(answer, Stored)
    found = {each.label: (each.verifier, each.scram, each.kept_outside) for each in answer.credentials}
    assert found == {"phone": ("{SSHA}x", keys, True), "crm": ("{SSHA}y", None, True)}
    directory.close()


async def test_the_query_gets_the_parts_of_an_address_in_the_order_it_names_them(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example")
    await add(vendor, "ada@other.example", "{SSHA}z")
    query = "SELECT password AS verifier FROM people WHERE domain = {} AND local = {}"
    directory = vendor.ask(query, ("domain", "local"))
    assert await verifiers(directory, "ada@other.example") == ["{SSHA}z"]
    directory.close()


@pytest.mark.parametrize(
    "local", ["o'brien", "a\\", "a\\'--", "'or'1'='1", "%", "_da", '"', "é", "{}", "?", "$1", "%s"]
)
async def test_an_address_is_never_a_part_of_the_statement(vendor: Vendor, local: str) -> None:
    await add(vendor, "ada@acme.example")
    directory = vendor.ask(QUERY)
    assert await verifiers(directory, f"{local}@acme.example") is None
    await add(vendor, f"{local}@acme.example", "{SSHA}own")
    assert await verifiers(directory, f"{local}@acme.example") == ["{SSHA}own"]
    directory.close()


UNCLEAR = {
    "a column of another name": "SELECT password FROM people WHERE address = {}",
    "a column too many": "SELECT password AS verifier, local FROM people WHERE address = {}",
    "no text": "SELECT 1 AS verifier FROM people WHERE address = {}",
    "no such table": "SELECT password AS verifier FROM persons WHERE address = {}",
    "no SQL": "SELEKT {}",
    "too many rows": "SELECT a.password AS verifier FROM people a, people b, people c WHERE a.address = {}",
}


@pytest.mark.parametrize("what", UNCLEAR)
async def test_g14_a_query_that_brings_something_else_is_unavailable_and_no_outage(vendor: Vendor, what: str) -> None:
    for _ in range(3):
        await add(vendor, "ada@acme.example")
    directory = vendor.ask(UNCLEAR[what])
    with pytest.raises(Refusal) as refused:
        await directory.ask(question("ada@acme.example"))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert not isinstance(refused.value, AwayError)
    assert "ada" not in refused.value.cause
    directory.close()


async def test_a_query_may_not_write(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example")
    directory = vendor.ask("DELETE FROM people WHERE address = {}")
    with pytest.raises(Refusal):
        await directory.ask(question("ada@acme.example"))
    reading = vendor.ask(QUERY)
    assert await verifiers(reading, "ada@acme.example") == ["{SSHA}x"]
    directory.close()
    reading.close()


async def test_a_connection_that_the_server_ended_while_it_was_idle_is_made_anew(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example")
    directory = vendor.ask(QUERY)
    assert await verifiers(directory, "ada@acme.example") == ["{SSHA}x"]
    await vendor.end_sessions()
    assert await verifiers(directory, "ada@acme.example") == ["{SSHA}x"]
    directory.close()


async def test_g15_of_a_query_that_finds_too_many_rows_the_first_alone_come(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows, for one login, took 350 MB before they were refused."""
    for number in range(12):
        await add(vendor, f"u{number}@acme.example")
    came: list[int] = []
    for module in ("postgres_query", "mysql_query"):
        monkeypatch.setattr(f"service.stores.directories.{module}.stored", lambda _, rows: came.append(len(rows)))
    directory = vendor.ask("SELECT a.password AS verifier FROM people a, people b, people c WHERE {} <> ''")
    for _ in range(2):
        await directory.ask(question("ada@acme.example"))
    assert came == [MOST_ROWS + 1] * 2
    directory.close()


async def test_a_question_that_was_given_up_answers_no_later_one(vendor: Vendor) -> None:
    await add(vendor, "ada@acme.example")
    await add(vendor, "bob@acme.example", "{SSHA}bob")
    sleep = "pg_sleep(60)::text" if isinstance(vendor, PostgresVendor) else "sleep(60)"
    directory = vendor.ask(SLOW.replace("60", sleep))
    assert await verifiers(directory, "bob@acme.example") == ["{SSHA}bob"]
    hanging = asyncio.create_task(directory.ask(question("ada@acme.example")))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hanging, 0.2)
    assert await verifiers(directory, "bob@acme.example") == ["{SSHA}bob"]
    directory.close()


async def test_of_several_hosts_of_postgres_the_second_is_asked_where_the_first_says_nothing(postgres_dsn: str) -> None:
    login, _, rest = postgres_dsn.rpartition("@")
    async with silent() as silence:
        query = "SELECT $1::text AS verifier"
        directory = PostgresQuery("crm", f"{login}@{silence.host},{rest}", query, ("address",), seconds=4.0)
        assert await verifiers(directory, "ada@acme.example") == ["ada@acme.example"]
        directory.close()


async def test_nobody_listening_is_an_outage() -> None:
    for directory in (
        PostgresQuery("crm", "postgresql://poplar@127.0.0.1:1/users", QUERY.format("$1"), ("address",)),
        MySqlQuery("crm", "mysql://poplar@127.0.0.1:1/users", QUERY.format("?"), ("address",)),
    ):
        with pytest.raises(AwayError):
            await directory.ask(question("ada@acme.example"))
