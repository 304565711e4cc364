"""The RFCs as an index of the code: each section that `service/` cites is cited by a test.

A sentence that is obeyed and not tested shows here, with the place that cites it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CITATION = re.compile(r"RFC\s+(\d+)|(design|issue|Unicode|POSIX|PROXY)|§\s?(\d+(?:\.\d+)*)")
REACH = 80
"""How many characters after an RFC's number a further section may still be meant to be of it."""

Section = tuple[int, str]


def sections(text: str) -> Iterator[tuple[Section, int]]:
    """Each `RFC n §x` in `text`, and each further `§y` beside it, with its position."""
    rfc, reach = None, 0
    for token in CITATION.finditer(text):
        number, other, section = token.groups()
        if section is None:
            rfc, reach = (None if other else int(number)), token.end() + REACH
        elif rfc is not None and token.start() <= reach:
            reach = token.end() + REACH
            yield (rfc, section), token.start()


def cited(folder: Path) -> dict[Section, list[str]]:
    """Every section cited below `folder`, with the places that cite it."""
    places: dict[Section, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".sql", ".lua", ".txt", ".tsv") and path != Path(__file__):
            text = path.read_text("utf-8")
            for section, position in sections(text):
                line = text.count("\n", 0, position) + 1
                places[section].append(f"{path.relative_to(ROOT)}:{line}")
    return places


def test_every_section_the_service_cites_is_cited_by_a_test() -> None:
    tested = cited(ROOT / "tests")
    missing = {
        f"RFC {rfc} §{section}": places
        for (rfc, section), places in sorted(cited(ROOT / "service").items())
        if (rfc, section) not in tested
    }
    assert missing == {}


def test_citations_are_found_in_the_forms_in_which_they_are_written() -> None:
    text = "RFC 1939 §4 (numbers), §5 LIST and §7; RFC 2449\n§6.5. See design.md §9. RFC 5321 alone" + " " * 90 + "§1"
    assert [section for section, _ in sections(text)] == [(1939, "4"), (1939, "5"), (1939, "7"), (2449, "6.5")]
