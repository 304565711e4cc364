"""`proofs.md` is whole and true: every duty has its row, and every test that it names is there.

Owns the list of the ids. Tests are found by reading the files, not by running them.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+) \| ([^|]+) \|$", re.MULTILINE)
PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")
WAITING = re.compile(r"(later|not offered)(: .+)?")

INPUT_IDS = (
    "A01 A03 A04 A06 A08 A10 A11 A13 A14 A16 A17 A19 A20 A22 "
    "B01 B03 B04 B06 B07 B09 B10 B12 B13 B15 B16 B18 B19 B21 B22 B24 B25 "
    "C01 C02 C04 C05 C07 C08 C10 C11 C13 C14 C16 C17 C19 C20 C22 C23 C25 C26 C28 C29 "
    "D01 D02 D04 D05 D07 D08 D10 D11 D13 D14 D16 D17 D19 D20 D22 D23 D25 D26 D28 D29 D31 D32 D34 D35 D37 D38 D40 D41 "
    "D43 D44 D46 D47 D49 D50 D52 D53 D55 E01 E03 E04 "
    "F02 F03 F05 F06 F08 F09 F11 F12 F14 F15 G02 G03 G05 G06 G08 G09 G11 G12"
)
DUTIES = 34
DEFECTS = 19
RFCS = 112
GUARANTEES = 18
EXPECTED = {
    "What the RFCs ask": [f"R{number}" for number in range(1, RFCS + 1)],
    "Bad inputs": INPUT_IDS.split(),
    "What mail programs count on": [f"C{number:02}" for number in range(1, DUTIES + 1)],
    "Defects of other servers": [f"X{number:02}" for number in range(1, DEFECTS + 1)],
    "The guarantees": [f"G{number}" for number in range(1, GUARANTEES + 1)],
}


def sections() -> dict[str, list[tuple[str, str]]]:
    """The rows of each table: an id and what proves it."""
    _, *parts = (TESTS / "proofs.md").read_text("utf-8").split("\n## ")
    found = {}
    for part in parts:
        title, _, text = part.partition("\n")
        found[title] = [(row.group(1), row.group(3)) for row in ROW.finditer(text)]
    return found


ROWS = [(title, name, cell) for title, rows in sections().items() for name, cell in rows]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The tests of a file, by name: functions, and the classes that hypothesis makes of its machines."""
    body = ast.parse(path.read_text("utf-8")).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    targets = {target for node in body if isinstance(node, ast.Assign) for target in node.targets}
    return frozenset(functions | {target.id for target in targets if isinstance(target, ast.Name)})


@pytest.mark.parametrize("title", EXPECTED)
def test_every_id_has_one_row_in_order(title: str) -> None:
    assert [name for name, _ in sections()[title]] == EXPECTED[title]


@pytest.mark.parametrize(("title", "name", "cell"), [pytest.param(*row, id=" ".join(row[:2])) for row in ROWS])
def test_a_row_names_tests_that_exist_or_what_it_waits_for(title: str, name: str, cell: str) -> None:
    for proof in cell.split("<br>"):
        found = PROOF.fullmatch(proof)
        if found is None:
            assert WAITING.fullmatch(proof), f"{title}, {name}: {proof}"
        else:
            path, test = found.groups()
            assert test.startswith(("test_", "Test"))
            assert test in names_in(TESTS / path), f"{title}, {name}: {proof}"


@pytest.mark.parametrize(("name", "cell"), [pytest.param(*row, id=row[0]) for row in sections()["Bad inputs"]])
def test_a_bad_input_is_found_by_its_id_where_it_is_tested(name: str, cell: str) -> None:
    files = {TESTS / path for path, _ in PROOF.findall(cell)}
    texts = [path.read_text("utf-8") for path in files]
    assert not files or any(re.search(rf"(?<![a-z0-9]){name}(?![0-9])", text, re.IGNORECASE) for text in texts)
