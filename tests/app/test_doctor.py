"""The doctor names what is wrong with each dependency, and what to do; where all is well it finds nothing wrong."""

import datetime
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import redis
import trustme

from service.app.blobs import make_blobs
from service.app.doctor import Finding, examine
from service.app.doctor.certificates import validity
from service.app.doctor.systems import clocks
from service.app.provisioning import provisioning
from service.app.telling import why
from service.mail.shipment import blob_key
from service.model.refusal import Reason, Refusal
from service.settings import Settings
from service.stores.postgres.checkup import Checkup
from service.stores.postgres.logins import create_login
from service.stores.postgres.migrate import migrate
from service.stores.postgres.rights import RIGHTS, ROW_SECURITY
from tests.app.conftest import Make, Values, listener, write_pair
from tests.backends.unlisted_s3 import unlisted_s3
from tests.backends.valkey_group import start_node
from tests.stores.test_migrations import lead_elsewhere
from tests.stores.test_other_owner import another_owner

SECRET = "hunter2"


async def found(settings: Settings, subject: str) -> Finding:
    findings = [finding for finding in await examine(settings) if finding.subject == subject]
    assert len(findings) == 1, findings
    return findings[0]


def with_login(dsn: str, login: str) -> str:
    """The same database as another login."""
    scheme, _, rest = dsn.partition("://")
    return f"{scheme}://{login}:{SECRET}@{rest.rpartition('@')[2]}"


async def test_where_all_is_well_nothing_is_wrong(make: Make, values: Values) -> None:
    # A machine that is busy with other tests isn't a Redis that is away.
    findings = await examine(make(redis=values["redis"] | {"deadline": 20.0}))
    assert [finding for finding in findings if finding.state == "wrong"] == []
    assert {"clock", "migrations", "redis", "object store", "certificate main"} <= {f.subject for f in findings}


async def test_a_postgres_that_may_forget_what_it_acknowledged_is_doubtful(make: Make, migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    await connection.execute(f"ALTER ROLE {urlsplit(migrated_dsn).username} SET synchronous_commit = off")
    try:
        finding = await found(make(), "durability")
    finally:
        await connection.execute(f"ALTER ROLE {urlsplit(migrated_dsn).username} RESET synchronous_commit")
        await connection.close()
    assert finding.state == "doubtful"
    assert "synchronous_commit" in finding.text


async def test_a_login_with_just_its_rights_is_good(make: Make, migrated_dsn: str) -> None:
    await create_login(migrated_dsn, "doctor_front", SECRET, "poplar_front")
    urls = {"url": migrated_dsn, "front_url": with_login(migrated_dsn, "doctor_front")}
    assert (await found(make(database=urls), "postgres as front")).state == "good"


async def test_a_login_with_the_rights_of_another_part_is_wrong_and_told_what_it_lacks(
    make: Make, migrated_dsn: str
) -> None:
    await create_login(migrated_dsn, "doctor_lmtp", SECRET, "poplar_lmtp")
    urls = {"url": migrated_dsn, "api_url": with_login(migrated_dsn, "doctor_lmtp")}
    finding = await found(make(database=urls), "postgres as api")
    assert finding.state == "wrong"
    assert "credentials INSERT" in finding.text
    assert finding.advice == "GRANT poplar_api TO doctor_lmtp;"


async def test_a_group_without_its_rights_is_for_migrate_to_mend(make: Make, migrated_dsn: str) -> None:
    await create_login(migrated_dsn, "doctor_front", SECRET, "poplar_front")
    urls = {"url": migrated_dsn, "front_url": with_login(migrated_dsn, "doctor_front")}
    connection = await asyncpg.connect(migrated_dsn)
    await connection.execute("DROP OWNED BY poplar_front")
    await connection.close()
    finding = await found(make(database=urls), "postgres as front")
    assert finding.state == "wrong"
    assert finding.advice.startswith("Run `poplar migrate`")
    assert await migrate(migrated_dsn) == [RIGHTS, ROW_SECURITY]
    assert (await found(make(database=urls), "postgres as front")).state == "good"


async def test_an_api_that_can_t_act_for_a_tenant_is_wrong(make: Make, migrated_dsn: str) -> None:
    await create_login(migrated_dsn, "doctor_api", SECRET, "poplar_api")
    settings = make(database={"url": migrated_dsn, "api_url": with_login(migrated_dsn, "doctor_api")})
    assert (await found(settings, "postgres as api")).state == "good"
    connection = await asyncpg.connect(migrated_dsn)
    await connection.execute("REVOKE SELECT ON tenants FROM poplar_delegate")
    await connection.close()
    finding = await found(settings, "postgres as api")
    assert (finding.state, "poplar_delegate" in finding.text) == ("wrong", True)


async def test_a_login_that_may_do_too_much_is_doubtful(make: Make) -> None:
    finding = await found(make(), "postgres as front")
    assert finding.state == "doubtful"
    assert "database.front_url" in finding.advice


@pytest.mark.parametrize(
    ("part", "looked_at"),
    [("front", {"redis", "clock", "certificate main"}), ("lmtp", {"object store"}), ("sweep", {"object store"})],
)
async def test_a_pod_with_the_login_of_its_own_part_is_not_blamed_for_having_no_other(
    make: Make, migrated_dsn: str, part: str, looked_at: set[str]
) -> None:
    await create_login(migrated_dsn, f"own_{part}", SECRET, f"poplar_{part}")
    findings = await examine(make(database={f"{part}_url": with_login(migrated_dsn, f"own_{part}"), "deadline": 2.0}))
    subjects = {finding.subject for finding in findings}
    assert [finding for finding in findings if finding.state == "wrong"] == []
    assert {subject for subject in subjects if subject.startswith("postgres")} == {f"postgres as {part}"}
    assert looked_at <= subjects
    assert "migrations" not in subjects
    assert ("redis" in subjects) == (part == "front")


async def test_g14_a_database_whose_owner_row_security_shuts_out_is_sent_to_migrate(
    make: Make, migrated_dsn: str
) -> None:
    async with another_owner(migrated_dsn) as dsn:
        finding = await found(make(database={"url": dsn}), "postgres as lmtp")
        await migrate(dsn)
        assert (await found(make(database={"url": dsn}), "postgres as lmtp")).state != "wrong"
    assert finding.state == "wrong"
    assert "row-level security hides the tables' rows from heir_" in finding.text
    assert "poplar migrate" in finding.advice


async def test_a_database_without_tables_is_sent_to_migrate(make: Make, postgres_dsn: str) -> None:
    settings = make(database={"url": postgres_dsn})
    assert "poplar migrate" in (await found(settings, "postgres as front")).advice
    assert (await found(settings, "migrations")).state == "wrong"


async def test_tables_in_another_schema_than_the_functions_look_in_are_wrong(make: Make, postgres_dsn: str) -> None:
    await migrate(postgres_dsn)
    await lead_elsewhere(postgres_dsn)
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("DROP SCHEMA orchard; ALTER SCHEMA public RENAME TO orchard; CREATE SCHEMA public")
    await connection.close()
    settings = make(database={"url": postgres_dsn})
    finding = await found(settings, "postgres as front")
    assert finding.state == (await found(settings, "migrations")).state == "wrong"
    assert "schema orchard" in finding.text
    assert "search_path" in finding.advice


async def test_a_postgres_that_is_away_is_wrong_and_its_password_stays_out(make: Make) -> None:
    settings = make(database={"url": f"postgresql://u:{SECRET}@127.0.0.1:1/none", "deadline": 1.0})
    finding = await found(settings, "postgres as lmtp")
    assert finding.state == "wrong"
    assert SECRET not in finding.text + finding.advice


async def test_a_redis_that_is_away_is_named_with_what_it_was_asked_and_without_its_password(make: Make) -> None:
    finding = await found(make(redis={"url": f"redis://:{SECRET}@127.0.0.1:1/0"}), "redis")
    assert finding.state == "wrong"
    assert "127.0.0.1:1" in finding.text
    assert "Connect call failed" in finding.text
    assert SECRET not in finding.text + finding.advice


REFUSING = {
    "read_only": (("REPLICAOF", "127.0.0.1", "1"), "Name the primary"),
    "full": (("CONFIG", "SET", "maxmemory", "1"), "more memory"),
    "denied": (("ACL", "SETUSER", "default", "-eval", "-evalsha"), "least-privilege.md"),
}


@pytest.mark.parametrize("kind", REFUSING)
async def test_a_redis_that_answers_and_grants_no_lease_is_wrong(make: Make, tmp_path: Path, kind: str) -> None:
    words, advice = REFUSING[kind]
    with ExitStack() as stack:
        node = start_node(stack, tmp_path / "valkey")
        settings = make(redis={"url": f"redis://127.0.0.1:{node.port}/0", "deadline": 20.0})
        assert (await found(settings, "redis")).state == "good"
        assert node.ask("DBSIZE") == 0
        node.ask(*words)
        finding = await found(settings, "redis")
    assert finding.state == "wrong"
    assert kind in finding.text
    assert advice in finding.advice


@pytest.fixture
def forgetful_redis(redis_url: str) -> Iterator[None]:
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", before)


@pytest.mark.usefixtures("forgetful_redis")
async def test_a_redis_that_would_drop_leases_is_doubtful(make: Make) -> None:
    findings = [finding for finding in await examine(make()) if finding.subject == "redis"]
    assert [finding.state for finding in findings] == ["good", "doubtful"]
    assert "allkeys-lru" in findings[1].text


async def test_a_store_that_cannot_be_written_is_wrong(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = make(object_store={"url": (tmp_path / "file" / "blobs").as_uri()})
    assert (await found(settings, "object store")).state == "wrong"


async def test_a_directory_that_is_not_there_yet_is_told_and_not_made(make: Make, tmp_path: Path) -> None:
    away = tmp_path / "not" / "mounted"
    finding = await found(make(object_store={"url": away.as_uri()}), "object store")
    assert finding.state == "doubtful"
    assert "mounted" in finding.advice
    assert not away.parent.exists()


async def test_mail_of_tenants_that_the_database_does_not_know_is_told(make: Make, migrated_dsn: str) -> None:
    async def text() -> AsyncIterator[bytes]:
        yield b"x"

    settings = make()
    async with provisioning(settings, "test") as desk:
        own = (await desk.tenants.create("orchard")).tenant_id
    blobs = make_blobs(settings.object_store)
    await blobs.put(blob_key(own, datetime.datetime.now(datetime.UTC)), text())
    assert (await found(settings, "stored mail")).state == "good"
    await blobs.put(blob_key(stranger := uuid4(), datetime.datetime.now(datetime.UTC)), text())
    await create_login(migrated_dsn, "doctor_sweep", SECRET, "poplar_sweep")
    urls = {"url": migrated_dsn, "sweep_url": with_login(migrated_dsn, "doctor_sweep")}
    finding = await found(make(database=urls), "stored mail")
    assert finding.state == "doubtful"
    assert stranger.hex in finding.text
    assert "1 of 2" in finding.text
    assert "Backups" in finding.advice


async def test_a_bucket_that_is_not_there_is_told_in_the_stores_own_words_without_the_keys(make: Make) -> None:
    keys = {"access_key": "known-to-all", "secret_key": SECRET, "region": "x"}
    store = {"url": "s3://none", "endpoint": "http://127.0.0.1:1", "allow_http": True, "retries": 0, **keys}
    finding = await found(make(object_store=store), "object store")
    assert finding.state == "wrong"
    assert "error sending request" in finding.text
    assert "\n" not in finding.text
    assert SECRET not in finding.text + finding.advice


@pytest.mark.parametrize(
    ("code", "more", "state"),
    [("NoSuchKey", (), "good"), ("AccessDenied", (), "doubtful"), ("AccessDenied", ("s3://more",), "wrong")],
)
async def test_keys_that_may_not_list_a_bucket_are_found_out(
    make: Make, code: str, more: tuple[str, ...], state: str
) -> None:
    async with unlisted_s3(code) as endpoint:
        keys = {"access_key": "known-to-all", "secret_key": SECRET, "region": "x", "more_urls": more}
        store = {"url": "s3://mail", "endpoint": endpoint, "allow_http": True, "retries": 0, **keys}
        finding = await found(make(object_store=store), "object store")
        pod = make(object_store=store, database={"lmtp_url": "postgresql://127.0.0.1:1/x", "deadline": 0.5})
        delivering = await found(pod, "object store")
    assert finding.state == state, finding
    assert ("s3:ListBucket" in finding.advice) == (state != "good")
    assert delivering.state == "good"


def test_what_a_system_says_is_cut_to_a_line_without_the_secrets_it_was_given() -> None:
    refusal = Refusal(Reason.UNAVAILABLE, "objects: denied")
    refusal.__cause__ = ValueError(f"no {SECRET}, not even in redis://:other@host\nDebug source: ...")
    assert why(refusal, SECRET) == "objects: denied: no ********, not even in redis://:********@host"


async def test_a_port_at_which_nobody_can_log_in_is_doubtful(make: Make) -> None:
    settings = make(listeners=[listener("clear", tls="none"), listener("safe", tls="starttls")])
    assert "TLS" in (await found(settings, "listener clear")).text
    assert "listener safe" not in [finding.subject for finding in await examine(settings)]


async def test_a_store_in_memory_is_doubtful(make: Make) -> None:
    assert (await found(make(object_store={"url": "memory://"}), "object store")).state == "doubtful"


async def test_no_certificate_is_wrong_only_where_one_is_needed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    tls = {"directory": str(tmp_path / "empty")}
    assert (await found(make(tls=tls), "certificates")).state == "wrong"
    without = await examine(make(tls=tls, listeners=[listener("pop3")]))
    assert not [finding for finding in without if finding.subject == "certificates"]


async def test_an_expired_certificate_is_wrong(make: Make, ca: trustme.CA, tmp_path: Path) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    write_pair(tmp_path / "tls", "old", ca.issue_cert("localhost", not_after=past))
    assert (await found(make(), "certificate old")).state == "wrong"
    assert (await found(make(), "certificate main")).state == "good"


def test_a_certificate_that_expires_soon_is_doubtful() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert validity("a", now, now + datetime.timedelta(days=13), now).text == "expires in 13 days"
    assert validity("a", now, now + datetime.timedelta(days=15), now).state == "good"


def test_a_certificate_that_begins_later_is_doubtful() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    finding = validity("a", now + datetime.timedelta(hours=1), now + datetime.timedelta(days=90), now)
    assert (finding.state, finding.text) == ("doubtful", "begins on 2026-01-01 01:00Z")


async def test_a_taken_port_is_told(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = await found(make(listeners=[listener("pop3", port=port)]), f"port {port}")
    assert finding.state == "doubtful"
    assert "pop3" in finding.text


async def test_lmtp_for_everybody_is_doubtful(make: Make, values: Values) -> None:
    settings = make(listeners=[listener("lmtp", host="*")])
    assert (await found(settings, "listener lmtp")).state == "doubtful"
    assert values["listeners"]


def test_clocks_that_differ_by_ten_minutes_are_told() -> None:
    """Fault F10."""
    at_noon = Checkup("18", "poplar", clock=43_200.0, has_schema=True)
    assert clocks(at_noon, 43_800.0).state == "doubtful"
    assert clocks(at_noon, 43_201.0).state == "good"
