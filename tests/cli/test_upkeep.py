"""`poplar migrate`, `doctor`, `sweep`, `import` and `session` over real systems."""

import asyncio
import json
import mailbox
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from service.app.provisioning import provisioning
from service.mail.importing import open_archive
from service.mail.ports import Holder, Lease
from service.model.account import MaildropKey
from service.settings import Settings
from service.stores.redis import RedisMaildropLocks
from tests.cli.conftest import Run, Start
from tests.cli.test_serve import fetched, http_of

ADDRESS = "anna@orchard.example"


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Callable[[str], str]:
    """Writes settings for a database and returns the file."""

    def written(dsn: str) -> str:
        path = tmp_path / "real.yaml"
        path.write_text(
            yaml.safe_dump(
                {
                    "database": {"url": dsn},
                    "redis": {"url": redis_url},
                    "object_store": {"url": (tmp_path / "blobs").as_uri()},
                    "listeners": [{"name": "pop3", "protocol": "pop3", "host": "127.0.0.1", "port": 0}],
                    "http": {"host": "127.0.0.1", "port": 0},
                }
            ),
            "utf-8",
        )
        return str(path)

    return written


async def provide(dsn: str) -> None:
    settings = Settings.model_validate({"database": {"url": dsn}})
    async with provisioning(settings, "test") as desk:
        await desk.tenants.create("orchard")
        await desk.domains.create("orchard", "orchard.example")
        await desk.maildrops.create(ADDRESS)


def test_migrate_tells_what_it_applied_and_finds_nothing_the_second_time(
    run: Run, config: Callable[[str], str], postgres_dsn: str
) -> None:
    file = config(postgres_dsn)
    first, second = run("--config", file, "migrate"), run("--config", file, "migrate")
    assert first.returncode == second.returncode == 0
    assert first.stdout.startswith("applied 0001_")
    assert second.stdout == "nothing to do\n"


def test_doctor_ends_with_1_until_the_database_is_migrated(
    run: Run, config: Callable[[str], str], postgres_dsn: str
) -> None:
    file = config(postgres_dsn)
    ill = run("--config", file, "doctor")
    assert ill.returncode == 1
    assert "FAIL  migrations: not applied" in ill.stdout
    assert "Run `poplar migrate`." in ill.stdout
    run("--config", file, "migrate")
    well = run("--config", file, "doctor")
    assert well.returncode == 0, well.stdout
    assert "checks passed" in well.stdout.splitlines()[-1]


def test_a_sweep_tells_what_it_did(run: Run, config: Callable[[str], str], migrated_dsn: str) -> None:
    swept = run("--config", config(migrated_dsn), "sweep")
    assert swept.returncode == 0, swept.stderr
    assert "deleted 0 removed messages and 0 of their blobs for good" in swept.stdout
    assert "left alone" not in swept.stdout


def test_g1_a_sweep_with_a_database_that_is_not_the_stores_leaves_the_mail_and_says_so(
    run: Run, start: Start, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    blob = tmp_path / "blobs" / uuid4().hex / f"{datetime.now(UTC) - timedelta(days=3):%Y/%m/%d}" / uuid4().hex
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"mail")
    os.utime(blob, (time.time() - 3 * 86_400,) * 2)
    swept = run("--config", config(migrated_dsn), "sweep")
    assert "left alone what the store holds of 1 tenant that this database doesn't know" in swept.stdout
    stores = {"object_store": {"url": (tmp_path / "blobs").as_uri()}, "database": {"url": migrated_dsn}}
    start("sweep", "--loop", **stores).await_said('"event":"left mail of unknown tenants"')
    assert blob.read_bytes() == b"mail"


def test_a_sweep_in_a_loop_serves_metrics_and_ends_well(start: Start, migrated_dsn: str, redis_url: str) -> None:
    command = start("sweep", "--loop", database={"url": migrated_dsn}, redis={"url": redis_url})
    command.await_said('"event":"swept"')
    assert fetched(f"{http_of(command)}/readyz")[0] == 200
    assert "poplar_sweep_last_success_timestamp_seconds" in fetched(f"{http_of(command)}/metrics")[1]
    assert command.end(signal.SIGTERM) == 0


def test_a_sweep_in_a_loop_outlives_a_database_that_is_away(start: Start) -> None:
    command = start("sweep", "--loop", sweep={"interval": 0.2})
    command.await_said('"component":"sweep","cause"')
    assert fetched(f"{http_of(command)}/livez")[0] == 200
    assert command.end() == 0


async def test_an_import_adds_each_message_once(
    run: Run, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    await provide(migrated_dsn)
    archive = mailbox.mbox(tmp_path / "old.mbox")
    for number in range(3):
        archive.add(f"Subject: {number}\n\nText {number}.\n".encode())
    archive.flush()
    arguments = ("--config", config(migrated_dsn), "import", ADDRESS, str(tmp_path / "old.mbox"))
    first, second = run(*arguments), run(*arguments)
    assert (first.returncode, first.stdout) == (
        0,
        "3 imported, 0 of them with the earlier server's UIDL, 0 known already, 0 refused\n",
    ), first.stderr
    assert second.stdout == "0 imported, 0 of them with the earlier server's UIDL, 3 known already, 0 refused\n"


async def test_what_was_exported_is_imported_elsewhere_under_the_same_uidls(
    run: Run, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    await provide(migrated_dsn)
    archive = mailbox.mbox(tmp_path / "old.mbox")
    for number in range(3):
        archive.add(f"X-UIDL: uidl{number}\nSubject: {number}\n\nText {number}.\n".encode())
    archive.flush()
    command, maildir = ("--config", config(migrated_dsn)), str(tmp_path / "Maildir")
    run(*command, "import", ADDRESS, str(tmp_path / "old.mbox"))
    first, second = (run(*command, "export", ADDRESS, maildir) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "3 exported, 0 there already, 0 refused\n"), first.stderr
    assert second.stdout == "0 exported, 3 there already, 0 refused\n"
    assert sorted(str(each.unique_id) for each in open_archive(Path(maildir)).messages()) == ["uidl0", "uidl1", "uidl2"]
    audit = run(*command, "audit", "--tenant", "orchard", "--json").stdout
    assert audit.count("maildrop.export") == 2


def test_an_export_says_what_keeps_it_from_writing(
    run: Run, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    asyncio.run(provide(migrated_dsn))
    (tmp_path / "file").write_text("x")
    ended = run("--config", config(migrated_dsn), "export", ADDRESS, str(tmp_path / "file"))
    assert (ended.returncode, ended.stderr) == (1, f"poplar: {tmp_path / 'file'}: Not a directory\n")


def test_the_help_of_an_import_says_how_long_removed_mail_is_known(run: Run) -> None:
    shown = " ".join(run("import", "--help", COLUMNS="200").stdout.split())
    assert "keeps its rows (sweep.removed_retention_days): a later run" in shown


def test_the_help_of_an_import_says_which_unique_ids_are_kept(run: Run) -> None:
    shown = " ".join(run("import", "--help", COLUMNS="200").stdout.split())
    assert "What `doveconf pop3_uidl_format` says at the earlier server. [default: %08Xu%08Xv]" in shown
    assert "The last line says how many did." in shown


def test_an_import_refuses_a_format_of_unique_ids_that_it_cannot_make(run: Run, tmp_path: Path) -> None:
    ended = run("import", ADDRESS, str(tmp_path), "--uidl", "%m")
    assert ended.returncode == 1
    assert ended.stderr.startswith("poplar: the format %m can't be made from %m on: known are %u")


async def test_an_import_says_why_a_message_is_refused(
    run: Run, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    await provide(migrated_dsn)
    file = config(migrated_dsn)
    assert run("--config", file, "maildrop", "set", ADDRESS, "--quota-octets", "10").returncode == 0
    (tmp_path / "old.mbox").write_text("From a Mon Jan  1 00:00:00 2024\nSubject: x\n\nText.\n")
    ended = run("--config", file, "import", ADDRESS, str(tmp_path / "old.mbox"))
    assert (ended.returncode, ended.stdout) == (
        1,
        "0 imported, 0 of them with the earlier server's UIDL, 0 known already, 1 refused\n",
    )
    assert ": never fits: maildrop " in ended.stderr


async def test_an_import_for_nobody_is_refused_in_one_line(
    run: Run, config: Callable[[str], str], migrated_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "old.mbox").write_text("From a Mon Jan  1 00:00:00 2024\nSubject: x\n\n")
    ended = run("--config", config(migrated_dsn), "import", "nobody@orchard.example", str(tmp_path / "old.mbox"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("poplar: ")
    assert ended.stderr.count("\n") == 1


def test_the_session_list_is_empty_where_nobody_is(run: Run, config: Callable[[str], str], migrated_dsn: str) -> None:
    listed = run("--config", config(migrated_dsn), "session", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])


async def test_a_session_is_listed_whole_where_nobody_looks_at_a_screen(
    run: Run, config: Callable[[str], str], migrated_dsn: str, redis_url: str
) -> None:
    key = MaildropKey(uuid4(), uuid4())
    address, process = f"{'a' * 60}@orchard.example", "a-host-with-a-name.orchard.example:1234"
    holder = Holder("5e55" * 4, "orchard", address, "2001:db8::1", "PLAIN", process, datetime.now(UTC))
    lease = Lease(key, "token", holder)
    # Two commands may take longer than a lease usually lasts, where the machine is busy.
    locks = RedisMaildropLocks(redis_url, lease_seconds=600)
    assert await locks.acquire(lease)
    listing = ("--config", config(migrated_dsn), "session", "list")
    listed = await asyncio.to_thread(run, *listing)
    named = await asyncio.to_thread(run, *listing, "--address", f"{'A' * 60}@Orchard.example", "--json")
    await locks.release(lease)
    await locks.aclose()
    (line,) = [line for line in listed.stdout.splitlines() if address in line]
    assert {"5e55" * 4, "2001:db8::1", process} <= set(line.split())
    assert [session["address"] for session in json.loads(named.stdout)] == [address]


def test_a_redis_that_is_away_is_named_with_its_place(
    run: Run, config: Callable[[str], str], migrated_dsn: str
) -> None:
    away = "redis://:hunter2@127.0.0.1:1/0"
    ended = run("--config", config(migrated_dsn), "session", "list", POPLAR_REDIS__URL=away)
    assert ended.returncode == 1
    assert ended.stderr.startswith("poplar: redis: connection: ")
    assert "127.0.0.1:1" in ended.stderr
    assert "hunter2" not in ended.stderr


def test_a_database_without_tables_is_sent_to_migrate(
    run: Run, config: Callable[[str], str], postgres_dsn: str
) -> None:
    ended = run("--config", config(postgres_dsn), "tenant", "list")
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("is it migrated? Run `poplar migrate`")


def test_an_archive_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    ended = run("import", ADDRESS, str(tmp_path / "none"))
    assert (ended.returncode, ended.stderr) == (1, f"poplar: {tmp_path / 'none'} isn't there\n")


async def test_kicking_a_maildrop_that_is_not_there_is_refused(
    run: Run, config: Callable[[str], str], migrated_dsn: str
) -> None:
    await provide(migrated_dsn)
    file = config(migrated_dsn)
    free = run("--config", file, "session", "kick", ADDRESS)
    assert (free.returncode, free.stderr) == (1, f"poplar: nobody holds {ADDRESS}\n")
    nobody = run("--config", file, "session", "kick", "nobody@orchard.example")
    assert (nobody.returncode, nobody.stderr) == (1, "poplar: there is no maildrop nobody@orchard.example\n")
