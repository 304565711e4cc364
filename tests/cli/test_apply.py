"""`poplar apply`, from files to a real Postgres: differences, exit codes, mistakes with their lines."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from service.cli.applying.forms import DocumentForm
from tests.cli.conftest import PATIENCE, Poplar

TENANTS = """
tenants:
  meadow:
    policy: {login_delay: 60, pop3: on, mechanisms: [PLAIN], shown_since: 2026-01-31}
    directory: own
    domains:
      meadow.example: {catch_all: info@meadow.example}
      meadow.test:
    maildrops:
      Info@Meadow.example:
        aliases: [sales@meadow.example]
        credentials:
          main: {password_env: INFO_PASSWORD}
      eve@meadow.example: {status: suspended}
---
tenants:
  brook:
    domains: {brook.example: }
    maildrops:
      kim@brook.example:
        credentials:
          main: {password_file: kim.txt}
          old: {verifier: "$1$salt$qJH7.N4xYta3aEG/dfqo/0"}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("INFO_PASSWORD", "right horse")
    (tmp_path / "kim.txt").write_text("kims secret\n")
    path = tmp_path / "tenants.yaml"
    path.write_text(TENANTS)
    return str(path)


def test_the_difference_is_shown_and_a_dry_run_leaves_it(poplar: Poplar, file: str) -> None:
    shown = poplar("apply", "-f", file, "--dry-run")
    assert shown.code == 3
    assert "  + tenant meadow: login_delay 60, mechanisms PLAIN, pop3 on, shown_since 2026-01-31\n" in shown.out
    assert "  + maildrop info@meadow.example\n" in shown.out
    assert "  ~ maildrop eve@meadow.example: status active -> suspended\n" in shown.out
    assert shown.out.endswith("12 to create, 3 to change\n")
    assert poplar("tenant", "list", "--json").json == []


def test_a_second_run_says_nothing_to_change(poplar: Poplar, file: str) -> None:
    first = poplar("apply", "-f", file)
    assert (first.code, first.out.splitlines()[-1]) == (0, "12 created, 3 changed")
    assert "horse" not in first.out + first.err
    for more in ((), ("--dry-run",), ("--prune", "--yes"), ("--reset-passwords",)):
        again = poplar("apply", "-f", file, *more)
        assert (again.code, again.out, again.err) == (0, "nothing to change\n", "")
    assert poplar("domain", "show", "meadow.example", "--json").json["catch_all"] == "info@meadow.example"


def test_a_dry_run_needs_no_secret(poplar: Poplar, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFO_PASSWORD")
    assert poplar("apply", "-f", file, "--dry-run").code == 3
    refused = poplar("apply", "-f", file)
    assert refused.code == 1
    assert refused.err == f"poplar: {file} line 13: the environment variable INFO_PASSWORD isn't set\n"
    assert poplar("tenant", "list", "--json").json == []


def test_programs_get_json(poplar: Poplar, file: str) -> None:
    planned = poplar("apply", "-f", file, "--dry-run", "--json")
    done = poplar("apply", "-f", file, "--json")
    assert planned.json == done.json
    assert {
        "tenant": "meadow",
        "action": "change",
        "what": "domain",
        "name": "meadow.example",
        "changes": [{"name": "catch_all", "before": None, "after": "info@meadow.example"}],
    } in done.json
    assert poplar("apply", "-f", file, "--json").json == []


def test_pruning_does_not_go_on_unasked(poplar: Poplar, file: str) -> None:
    poplar("apply", "-f", file)
    less = TENANTS.replace("      eve@meadow.example: {status: suspended}\n", "")
    Path(file).write_text(less)
    assert poplar("apply", "-f", file).out == "nothing to change\n"
    assert poplar("apply", "-f", file, "--prune").code == 2
    shown = poplar("apply", "-f", file, "--prune", "--dry-run")
    assert shown.out == "tenant meadow\n  - maildrop eve@meadow.example: holds 0 messages\n1 to remove\n"
    assert poplar("apply", "-f", file, "--prune", "--yes").out.endswith("1 removed\n")
    assert [row["address"] for row in poplar("maildrop", "list", "--json").json] == [
        "kim@brook.example",
        "info@meadow.example",
    ]


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 2), (b"y\n", 1)])
def test_a_person_is_asked_before_anything_is_removed(poplar: Poplar, file: str, answer: bytes, left: int) -> None:
    poplar("apply", "-f", file)
    Path(file).write_text(TENANTS.replace("      eve@meadow.example: {status: suspended}\n", ""))
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "service", "apply", "-f", file, "--prune"]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, start_new_session=True) as process:
        os.close(terminal)
        os.write(keyboard, answer)
        out = process.stdout.read() if process.stdout else b""
        assert process.wait(PATIENCE) == left - 1
        os.close(keyboard)
    assert b"- maildrop eve@meadow.example" in out
    assert len(poplar("maildrop", "list", "--tenant", "meadow", "--json").json) == left


def test_a_refused_tenant_keeps_the_others_from_nothing(poplar: Poplar, file: str) -> None:
    poplar("tenant", "create", "other")
    poplar("domain", "create", "elsewhere.example", "--tenant", "other")
    poplar("apply", "-f", file)
    poplar("alias", "create", "late@meadow.example", "info@meadow.example")
    changed = TENANTS.replace("eve@meadow", "late@meadow").replace(
        "{brook.example: }", "{brook.example: , new.example: }"
    )
    Path(file).write_text(changed)
    outcome = poplar("apply", "-f", file)
    assert outcome.code == 1
    assert outcome.err == "poplar: tenant meadow is left as it was: late@meadow.example is an alias\n"
    assert outcome.out.endswith("1 created\n")
    assert [row["name"] for row in poplar("domain", "list", "--tenant", "brook", "--json").json] == [
        "brook.example",
        "new.example",
    ]


def test_a_folder_and_standard_input_are_read_like_files(poplar: Poplar, tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.txt", ".hidden.yaml"):
        (tmp_path / name).write_text(f"tenants: {{{name[:1].replace('.', 'x')}: }}")
    outcome = poplar("apply", "-f", str(tmp_path), "-f", "-", typed="tenants: {typed: }")
    assert outcome.code == 0
    assert [row["name"] for row in poplar("tenant", "list", "--json").json] == ["a", "b", "typed"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenants:\n  a:\n    polcy: {}\n", "line 3: tenants.a.polcy: there is no such key here"),
        ("tenants:\n  a:\n    policy:\n      quota: 5\n", "line 3: tenants.a.policy: no policy is called quota"),
        (
            "tenants:\n  a: {directory: A b}\n",
            "line 2: tenants.a.directory: a directory's name has 1 to 32 of a-z, 0-9 and -, and doesn't begin with -",
        ),
        ("tenants:\n  A:\n", "line 2: tenants.A: a tenant's name has 1 to 63 of a-z, 0-9 and -"),
        ("tenants:\n  a:\n  a:\n", "line 3: a is written twice"),
        ("tenants:\n  a: {}\n---\ntenants:\n  a: {}\n", "line 5: tenants.a: is described at {file} line 2 already"),
        (
            "tenants:\n  a:\n    maildrops:\n      x@a.example:\n      X@A.example:\n",
            "line 5: tenants.a.maildrops.X@A.example: x@a.example is written twice",
        ),
        (
            "tenants:\n  a:\n    maildrops:\n      x@a.example: {aliases: [y@a.example]}\n      y@a.example:\n",
            "line 4: tenants.a.maildrops.x@a.example.aliases: y@a.example is written twice",
        ),
        (
            "tenants:\n  a:\n    maildrops:\n      x+t@a.example:\n",
            "line 4: tenants.a.maildrops.x+t@a.example: the name of a maildrop or alias has no +"
            " (what follows it is a tag)",
        ),
        (
            "tenants:\n  a:\n    maildrops:\n",
            "line 3: tenants.a.maildrops: names with what belongs to each stand here; {{}} for none",
        ),
        ("tenants:\n  a: [\n", "line 3: expected the node content, but found '<stream end>'"),
        ("tenants:\n  a:\n    status: asleep\n", "line 3: tenants.a.status: Input should be 'active' or 'suspended'"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(poplar: Poplar, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    outcome = poplar("apply", "-f", str(path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"poplar: {path} {said.format(file=path)}\n"


def test_a_document_may_name_what_no_new_maildrop_may_be_called() -> None:
    """It may be there already."""
    maildrops = {"so\u00adft@a.example": {"aliases": ["hy\u00adphen@a.example"]}}
    form = DocumentForm.model_validate({"tenants": {"a": {"maildrops": maildrops}}})
    assert list(form.tenants["a"].maildrops) == list(maildrops)


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        ("{password: secret}", "a password doesn't stand in a file: name a password_env or a password_file"),
        ("{password_env: X, verifier_env: Y}", "a secret comes from one place, not from password_env and verifier_env"),
    ],
)
def test_a_secret_has_one_place_and_that_is_not_the_file(
    poplar: Poplar, tmp_path: Path, credential: str, said: str
) -> None:
    """G17."""
    path = tmp_path / "x.yaml"
    path.write_text(
        f"tenants:\n  a:\n    maildrops:\n      x@a.example:\n        credentials:\n          main: {credential}\n"
    )
    outcome = poplar("apply", "-f", str(path))
    assert (outcome.code, outcome.err) == (
        2,
        f"poplar: {path} line 6: tenants.a.maildrops.x@a.example.credentials.main: {said}\n",
    )


def test_every_mistake_is_told_at_once(poplar: Poplar, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("tenants:\n  a:\n    x: 1\n  B:\n")
    (tmp_path / "b.yaml").write_text("tenant:\n")
    assert poplar("apply", "-f", str(tmp_path)).err.count("\n") == 4
    assert poplar("apply", "-f", str(tmp_path / "none.yaml")).err.endswith("can't be read: No such file or directory\n")


@pytest.mark.usefixtures("poplar")
async def test_a_run_that_is_killed_leaves_nothing_of_its_tenant(migrated_dsn: str, file: str) -> None:
    """It waits for another transaction's domain when it is killed, with most of its tenant made."""
    other = await asyncpg.connect(migrated_dsn)
    blocked = other.transaction()
    await blocked.start()
    await other.execute("INSERT INTO tenants (tenant_id, name) VALUES (gen_random_uuid(), 'blocker')")
    await other.execute("INSERT INTO domains SELECT tenant_id, 'meadow.test' FROM tenants")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "service", "apply", "-f", file)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    watch = await asyncpg.connect(migrated_dsn)
    while not await watch.fetchval(waiting):
        assert process.returncode is None
    process.kill()
    await process.wait()
    await blocked.rollback()
    while await watch.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poplar api'"):
        pass
    assert await watch.fetchval("SELECT count(*) FROM tenants") == 0
    await other.close()
    await watch.close()


def test_output_for_programs_is_whole_json_even_when_a_tenant_is_refused(poplar: Poplar, file: str) -> None:
    poplar("tenant", "create", "other")
    poplar("domain", "create", "brook.example", "--tenant", "other")
    outcome = poplar("apply", "-f", file, "--json")
    assert outcome.code == 1
    assert "brook.example belongs to another tenant" in outcome.err
    assert outcome.out == "" or isinstance(json.loads(outcome.out), list)
