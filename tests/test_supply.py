"""The audit of dependencies says what is vulnerable, what was reviewed, and, no less clearly, what nobody was asked."""

import json
import stat
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.supply import LOCKS, ROOT, Exemption, Report, audited, reviewed, verdict

TODAY = date(2026, 11, 26)
GOOD = {"name": "h11", "version": "0.16.0", "vulns": []}
BAD = {"name": "redis", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"], "aliases": []}]}
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0.0)"}


def report(*dependencies: Mapping[str, Any]) -> Report:
    told = Report()
    told.add({"dependencies": dependencies})
    return told


def test_a_vulnerability_fails_by_its_id_and_says_what_mends_it() -> None:
    code, lines = verdict(report(GOOD, BAD), [], TODAY, strict=False)
    assert code == 1
    assert lines[0] == "VULNERABLE: GHSA-1 in redis 1.0, mended by 1.1"


@pytest.mark.parametrize(("until", "code"), [(TODAY, 0), (date(2026, 11, 25), 1)])
def test_a_reviewed_one_passes_with_its_reason_until_its_day_is_over(until: date, code: int) -> None:
    exemption = Exemption("GHSA-1", "redis", "we never call it", until)
    found, lines = verdict(report(BAD), [exemption], TODAY, strict=False)
    assert found == code
    assert ("we never call it" in lines[0]) is (code == 0)
    assert ("its review ended on 2026-11-25" in lines[0]) is (code == 1)


def test_a_review_of_another_package_or_id_excuses_nothing() -> None:
    others = [Exemption("GHSA-1", "h11", "", TODAY), Exemption("GHSA-2", "redis", "", TODAY)]
    assert verdict(report(BAD), others, TODAY, strict=False)[0] == 1


@pytest.mark.parametrize("strict", [False, True])
def test_what_nobody_could_be_asked_about_is_said_and_passes_unless_strictness_is_wanted(strict: bool) -> None:
    code, lines = verdict(report(GOOD, SKIPPED), [], TODAY, strict)
    assert code == int(strict)
    assert lines[0].startswith("NOT ASKED about 1 packages, so nothing is known of them.")
    assert lines[-1] == "1 packages asked about, 0 vulnerabilities found."


def program(folder: Path, **answers: object) -> str:
    """A stand-in for pip-audit: by the database that it is told to ask, JSON, or words on standard error."""
    path = folder / "pip-audit"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nanswer = {answers!r}[sys.argv[2]]\n"
        "sys.exit(print(answer)) if answer.startswith('{') else sys.exit(answer)\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_second_database_is_asked_where_the_first_knows_too_little(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("h11==0.16.0 \\\n    --hash=sha256:0\nredis==1.0 \\\n    --hash=sha256:0\n")
    skipped = {"name": "redis", "skip_reason": "unknown"}
    first, second = ({"dependencies": each} for each in ([GOOD, skipped], [GOOD, BAD]))
    found = audited(program(tmp_path, pypi=json.dumps(first), osv=json.dumps(second)), [lock])
    assert (found.left, list(found.vulnerable)) == ([], [("GHSA-1", "redis 1.0")])


def test_databases_that_are_away_and_a_program_that_is_missing_leave_everything_unasked(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("h11==0.16.0 \\\n    --hash=sha256:0\n")
    for name in (program(tmp_path, pypi="no network", osv="no network"), str(tmp_path / "nothing")):
        found = audited(name, [lock])
        assert found.left == ["h11"]
        assert verdict(found, [], TODAY, strict=False)[0] == 0


def test_the_reviews_in_the_tree_are_whole_and_the_locks_are_there() -> None:
    assert all(each.reason and each.until for each in reviewed())
    assert all((ROOT / lock).exists() for lock in LOCKS)
