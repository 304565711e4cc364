"""`poplar maildrop import-csv`, from a list to a real Postgres: good lines kept, bad ones told. RFC 4180 §2."""

import asyncio
import csv
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from service.cli.bulk.lists import LONGEST, Reading
from service.model.refusal import Refusal
from service.model.tenancy import NewCredential
from service.stores.passwords.hashing import Argon2Hashes
from tests.cli.conftest import ADA, PATIENCE, Poplar

HASH = "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
LIST = f"""Address,verifier,password,status,aliases,quota_octets,mechanisms
bob@acme.example,{HASH},,,,,
eve@acme.example,,right horse,suspended,e@acme.example eva@acme.example,5000,"PLAIN,LOGIN"
{ADA},,,suspended,,,

kim@ACME.example,,,,,none,
"""


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_list_becomes_maildrops_and_a_second_run_finds_them(acme: Poplar, tmp_path: Path) -> None:
    file = written(tmp_path, LIST)
    first = acme("maildrop", "import-csv", file)
    assert (first.code, first.out) == (0, "3 created, 0 updated, 1 there already, 0 bad lines\n")
    assert first.err == ""
    eve = acme("maildrop", "show", "eve@acme.example", "--json").json
    assert eve["status"] == "suspended"
    assert eve["policy"]["quota_octets"] == {"value": 5000, "origin": "maildrop"}
    assert eve["policy"]["mechanisms"] == {"value": ["PLAIN", "LOGIN"], "origin": "maildrop"}
    assert [row["alias"] for row in acme("alias", "list", "--json").json] == ["e@acme.example", "eva@acme.example"]
    assert acme("maildrop", "show", ADA, "--json").json["status"] == "active"
    again = acme("maildrop", "import-csv", file, "--json")
    assert (again.code, again.json) == (0, {"created": 0, "updated": 0, "kept": 4, "bad": 0})


def test_what_is_there_is_updated_when_asked(acme: Poplar, tmp_path: Path) -> None:
    file = written(tmp_path, LIST)
    acme("maildrop", "import-csv", file)
    assert acme("maildrop", "import-csv", file, "--update", "--json").json["updated"] == 1
    assert acme("maildrop", "show", ADA, "--json").json["status"] == "suspended"
    assert acme("maildrop", "import-csv", file, "--update", "--json").json["updated"] == 0


def test_a_line_may_name_what_no_new_maildrop_may_be_called() -> None:
    """It may be there already."""
    file = io.BytesIO("address,aliases\nso\u00adft@acme.example,hy\u00adphen@acme.example\n".encode())
    [entry] = Reading(lambda verifier, label: NewCredential(label, "password", verifier), "main").entries(file)
    assert not isinstance(entry.row, Refusal)
    assert [str(each) for each in (entry.row.address, *entry.row.aliases)] == [
        "so\u00adft@acme.example",
        "hy\u00adphen@acme.example",
    ]


def test_standard_input_is_a_list_too(acme: Poplar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Path(written(tmp_path, "address\nbob@acme.example\n")).open() as typed:
        command = [sys.executable, "-m", "service", "maildrop", "import-csv", "-"]
        done = subprocess.run(command, stdin=typed, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.startswith("1 created")
    assert done.stderr == ""


def test_bad_lines_are_reported_with_their_number_and_keep_no_good_one_out(acme: Poplar, tmp_path: Path) -> None:
    bad = [
        (b"nobody", "an address has the form local@domain"),
        (b"x@elsewhere.example", "there is no domain elsewhere.example"),
        (b'"open@acme.example', "it isn't CSV: unexpected end of data"),
        (b"caf\xe9@acme.example", "it isn't UTF-8"),
        (b"x+y@acme.example", "the name of a maildrop or alias has no + (what follows it is a tag)"),
        (b"a@acme.example,b", "it has 2 cells for 1 columns"),
        (b"good3@acme.example", "line 2 has good3@acme.example already"),
        (b"x" * LONGEST + b"@acme.example", f"it is longer than {LONGEST} octets"),
    ]
    good = [b"good%d@acme.example" % n for n in range(3, 12)]
    lines = [line for pair in zip(good, [line for line, _ in bad], strict=False) for line in pair]
    file = written(tmp_path, b"\n".join([b"\xef\xbb\xbfaddress", *lines, b""]))
    report = tmp_path / "bad.csv"
    outcome = acme("maildrop", "import-csv", file, "--report", str(report), "--json")
    assert (outcome.code, outcome.json) == (1, {"created": 8, "updated": 0, "kept": 0, "bad": 8})
    with report.open(newline="") as rows:
        found = list(csv.DictReader(rows))
    assert [(int(row["line"]), row["why"]) for row in found] == [(3 + 2 * n, why) for n, (_, why) in enumerate(bad)]
    assert outcome.err.startswith("poplar: line 3: nobody: an address has the form local@domain\n")


@pytest.mark.parametrize(
    ("columns", "cells", "why"),
    [
        ("verifier", "{ROT13}secret", "the verifier is of the scheme {ROT13}"),
        ("password", "x" * 256, "a password has 1 to 255 octets"),
        ("password,verifier", f"secret,{HASH}", "a line has a password or a verifier, not both"),
        ("status", "asleep", "a status is active or suspended"),
        ("quota_octets", "many", "'many' is not a number"),
        ("expire_days", "0", "expire_days is 1 to 36500"),
        ("aliases", f"{ADA}", f"the alias {ADA} is a maildrop"),
    ],
)
def test_a_bad_cell_is_told_without_any_secret(
    acme: Poplar, tmp_path: Path, columns: str, cells: str, why: str
) -> None:
    """G17."""
    outcome = acme("maildrop", "import-csv", written(tmp_path, f"address,{columns}\nbob@acme.example,{cells}\n"))
    assert outcome.code == 1
    assert outcome.err.startswith(f"poplar: line 2: bob@acme.example: {why}")
    assert "secret" not in outcome.err
    assert "xxxx" not in outcome.err


def test_what_stands_in_a_list_can_not_write_to_the_terminal(acme: Poplar, tmp_path: Path) -> None:
    outcome = acme("maildrop", "import-csv", written(tmp_path, "address\n\x1b[2J" + "x" * 600 + "\n"))
    assert outcome.err == f"poplar: line 2: ?[2J{'x' * 96}: an address has the form local@domain\n"


def test_only_some_bad_lines_are_told_when_there_are_many(acme: Poplar, tmp_path: Path) -> None:
    outcome = acme("maildrop", "import-csv", written(tmp_path, "address\n" + "x\n" * 30))
    assert outcome.err.count("\n") == 21
    assert outcome.err.endswith("poplar: and 10 more bad lines; --report lists them all\n")


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("adress", "there is no column 'adress'"),
        ("address,quota", "there is no column 'quota'"),
        ("status", "a column is missing or named twice"),
        ("address,address", "a column is missing or named twice"),
    ],
)
def test_a_list_that_names_no_known_columns_is_refused_whole(
    acme: Poplar, tmp_path: Path, header: str, why: str
) -> None:
    outcome = acme("maildrop", "import-csv", written(tmp_path, f"{header}\nbob@acme.example\n"))
    assert outcome.code == 1
    assert outcome.err.startswith(f"poplar: line 1: {why}; it names address")


def test_another_tenants_domain_is_not_there(acme: Poplar, tmp_path: Path) -> None:
    """G10."""
    acme("tenant", "create", "other")
    file = written(tmp_path, "address\nbob@acme.example\n")
    outcome = acme("maildrop", "import-csv", file, "--tenant", "other")
    assert (outcome.code, outcome.out) == (1, "0 created, 0 updated, 0 there already, 1 bad lines\n")
    assert "there is no domain acme.example" in outcome.err


def test_a_tenant_that_is_not_there_is_told_once(acme: Poplar, tmp_path: Path) -> None:
    file = written(tmp_path, "address\nbob@acme.example\neve@acme.example\n")
    outcome = acme("maildrop", "import-csv", file, "--tenant", "nobody")
    assert (outcome.code, outcome.err) == (1, "poplar: there is no tenant nobody\n")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are hashed, in order."""
    passwords = list[str]()
    hash_ = Argon2Hashes.hash

    async def counted(self: Argon2Hashes, password: str) -> str:
        passwords.append(password)
        return await hash_(self, password)

    monkeypatch.setattr(Argon2Hashes, "hash", counted)
    return passwords


def test_passwords_are_hashed_only_where_they_will_be_stored(acme: Poplar, tmp_path: Path, hashed: list[str]) -> None:
    acme("maildrop", "import-csv", written(tmp_path, f"address,password\nbob@acme.example,one\n{ADA},two\n"))
    assert hashed == ["one"]
    acme("maildrop", "import-csv", written(tmp_path, f"address,password\n{ADA},two\n"), "--reset-passwords")
    assert hashed == ["one", "two"]
    assert [row["label"] for row in acme("credential", "list", ADA, "--json").json] == ["main"]


def test_spaces_are_part_of_a_password_and_of_no_other_cell(acme: Poplar, tmp_path: Path, hashed: list[str]) -> None:
    lines = "bob@acme.example , one two  , suspended\neve@acme.example,  ,\n"
    outcome = acme("maildrop", "import-csv", written(tmp_path, f"address, password ,status\n{lines}"), "--json")
    assert (outcome.code, outcome.json["created"]) == (0, 2)
    assert hashed == [" one two  "]
    assert acme("maildrop", "show", "bob@acme.example", "--json").json["status"] == "suspended"
    assert acme("credential", "list", "eve@acme.example", "--json").json == []


def test_progress_shows_on_a_terminal(acme: Poplar, tmp_path: Path) -> None:
    file = written(tmp_path, LIST)
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "service", "maildrop", "import-csv", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, start_new_session=True) as process:
        os.close(terminal)
        seen = b""
        while b"100%" not in seen:
            seen += os.read(keyboard, 4096)
        os.close(keyboard)
        assert process.wait(PATIENCE) == 0
    assert b"Importing" in seen


@pytest.mark.usefixtures("acme")
async def test_an_import_that_is_killed_goes_on_where_it_broke_off(migrated_dsn: str, tmp_path: Path) -> None:
    """It waits for another transaction's address in its second batch when it is killed; the first one stays."""
    file = written(tmp_path, "address\n" + "".join(f"u{n}@acme.example\n" for n in range(1500)))
    other, watch = await asyncpg.connect(migrated_dsn), await asyncpg.connect(migrated_dsn)
    blocked = other.transaction()
    await blocked.start()
    await other.execute(
        "INSERT INTO maildrops (tenant_id, maildrop_id, domain, local)"
        " SELECT tenant_id, gen_random_uuid(), 'acme.example', 'u1200' FROM tenants"
    )
    command = [sys.executable, "-m", "service", "maildrop", "import-csv", file]
    process = await asyncio.create_subprocess_exec(*command)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await watch.fetchval(waiting):
        assert process.returncode is None
    process.kill()
    await process.wait()
    await blocked.rollback()
    while await watch.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poplar api'"):
        pass
    assert await watch.fetchval("SELECT count(*) FROM maildrops") == 1001
    again = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await again.communicate()
    assert out == b"500 created, 0 updated, 1000 there already, 0 bad lines\n"
    assert await watch.fetchval("SELECT count(*) FROM audit WHERE action = 'maildrop.batch'") == 2
    await other.close()
    await watch.close()
