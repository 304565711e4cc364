"""The threat model is whole and true: each row is numbered, says what is left, and names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
MODEL = TESTS.parent / "deploy" / "decisions" / "threats.md"
ROW = re.compile(r"^\| (T\d+) \| (.+?) \| (.+?) \| (.+?) \| ?(.*?) ?\|$", re.MULTILINE)
PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = ROW.findall(MODEL.read_text("utf-8"))
ATTACKERS = (
    "A client without a credential",
    "A client with a credential",
    "A tenant's admin, with a token of scope `tenant`",
    "A token of the provider's: `support`, `read-only`, `full`",
    "A neighbouring pod",
    "In the middle: before and behind the balancer",
    "Who reads what is kept",
    "Mail that means harm",
    "An issuer or a directory outside that means harm",
    "The supply chain",
    "A front end pod that was taken over",
)


@cache
def names_in(path: Path) -> frozenset[str]:
    """The tests of a file, by name."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kinds))


def test_every_attacker_has_a_table_and_every_row_its_number() -> None:
    text = MODEL.read_text("utf-8")
    assert [title for title in re.findall(r"^## (.+)$", text, re.MULTILINE) if title in ATTACKERS] == list(ATTACKERS)
    assert [row[0] for row in ROWS] == [f"T{number:02}" for number in range(1, len(ROWS) + 1)]
    assert len(ROWS) == len(re.findall(r"^\| T\d+", text, re.MULTILINE)) > 40


@pytest.mark.parametrize(("name", "cell"), [pytest.param(row[0], row[3], id=row[0]) for row in ROWS])
def test_a_row_names_tests_that_exist(name: str, cell: str) -> None:
    if cell == "nothing: by design":
        return
    for proof in cell.split("<br>"):
        found = PROOF.fullmatch(proof)
        assert found, f"{name}: {proof}"
        path, test = found.groups()
        assert test in names_in(TESTS / path), f"{name}: {proof}"
