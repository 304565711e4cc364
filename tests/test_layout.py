"""The shape of the tree, as the design fixes it: sizes, docstrings, comments, words that don't belong.

Sizes are a direction and not a reason for tricks, but a bound that nothing checks is none.
"""

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SERVICE = ROOT / "service"
SOURCES = sorted(SERVICE.rglob("*.py"))
EVERYTHING = sorted(path for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")] if "__pycache__" not in path.parts)

FUNCTION_LINES = 40
FILE_LINES = 300
PARAMETERS = 5
DOCSTRING_LINES = range(3, 11)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: the docstring and the comments that quote the RFCs don't make a function long."""
    first = node.body[0]
    documented = ast.get_docstring(node) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Every comment with its line; the lines of one block are joined."""
    block: list[str] = []
    begun = last = 0
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            if row != last + 1 and block:
                yield begun, " ".join(block)
                block = []
            begun, last = (row if not block else begun), row
            block.append(token.string.lstrip("#: ").strip())
    if block:
        yield begun, " ".join(block)


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in SOURCES}


def test_no_function_is_over_40_lines(trees: dict[Path, ast.Module]) -> None:
    long = {
        f"{name_of(path)}:{node.lineno} {node.name}": lines_of(node)
        for path, tree in trees.items()
        for node in functions(tree)
        if lines_of(node) > FUNCTION_LINES
    }
    assert long == {}


def test_functions_are_short_for_the_most_part(trees: dict[Path, ast.Module]) -> None:
    lengths = sorted(lines_of(node) for tree in trees.values() for node in functions(tree))
    assert statistics.median(lengths) < 8
    assert lengths[len(lengths) * 95 // 100] < 25


def test_no_file_is_over_300_lines() -> None:
    long = {
        name_of(path): count for path in SOURCES if (count := len(path.read_text("utf-8").splitlines())) > FILE_LINES
    }
    assert long == {}


def test_files_are_short_for_the_most_part() -> None:
    assert statistics.median(len(path.read_text("utf-8").splitlines()) for path in SOURCES) < 120


def test_no_function_has_more_than_five_parameters(trees: dict[Path, ast.Module]) -> None:
    many = {}
    for path, tree in trees.items():
        for node in functions(tree):
            taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([argument for argument in taken if argument.arg not in ("self", "cls")])
            if count > PARAMETERS:
                many[f"{name_of(path)}:{node.lineno} {node.name}"] = count
    assert many == {}


def test_every_module_says_what_it_owns_in_3_to_10_lines(trees: dict[Path, ast.Module]) -> None:
    wrong = {}
    for path, tree in trees.items():
        lines = len((ast.get_docstring(tree, clean=False) or "").strip("\n").splitlines())
        if lines not in DOCSTRING_LINES:
            wrong[name_of(path)] = lines
    assert wrong == {}


def test_no_module_has_a_clock_or_dice_of_its_own_beside_those_that_the_simulation_replaces(
    trees: dict[Path, ast.Module],
) -> None:
    """tests/simulation/closed.py patches them where they are looked up: in `time` and `secrets`."""
    beside = [
        f"{name_of(path)}: {ast.unparse(node)}"
        for path, tree in trees.items()
        if SERVICE in path.parents
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(each.name == "random" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random")
        or (isinstance(node, ast.ImportFrom) and node.module == "time" and {"monotonic", "perf_counter"} & names(node))
    ]
    assert beside == []


def names(node: ast.ImportFrom) -> set[str]:
    return {each.name for each in node.names}


def test_every_departure_from_an_rfc_says_why() -> None:
    """A comment that starts with `Deviates:` goes on with the sentence it departs from, or the reason."""
    bare = [
        f"{name_of(path)}:{line}"
        for path in SOURCES
        for line, comment in comments(path)
        if "Deviates" in comment and len(comment.partition("Deviates:")[2].split()) < 5
    ]
    assert bare == []


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    left = [
        f"{name_of(path)}:{line}"
        for path in EVERYTHING
        for line, comment in comments(path)
        if marks.search(comment) and "b'XXXX" not in comment
    ]
    assert left == []


def test_no_file_names_the_machine_it_was_written_on() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp/x|Users)/")
    named = [
        f"{name_of(path)}:{number}"
        for path in EVERYTHING
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if places.search(line)
    ]
    assert named == []


def test_every_type_that_is_not_checked_names_what_it_ignores() -> None:
    vague = re.compile(r"type: ignore(?!\[[a-z-]+)|noqa(?!: [A-Z]+\d+)")
    found = [
        f"{name_of(path)}:{line}" for path in EVERYTHING for line, comment in comments(path) if vague.search(comment)
    ]
    assert found == []
