"""Every reader of what strangers write holds against the corpus that was grown for it, and the corpus can grow.

Each file below `corpus/` led a reader along a way through the code that no other did, or once took it apart.
"""

import random
from pathlib import Path

import pytest

from tests.fuzz import growing
from tests.fuzz.growing import CORPUS, MOST_INPUTS, MOST_OCTETS, Corpus, grown, kept, name_of, ways
from tests.fuzz.readers import READERS

MOST_OF_ALL = 200 * 1024
FILES = [(name, path) for name in READERS for path in kept(CORPUS / name)]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_holds_against_what_it_is_fed_first(name: str) -> None:
    for octets in READERS[name].seeds:
        READERS[name].survives(octets)


@pytest.mark.parametrize(("name", "path"), [pytest.param(*each, id=f"{each[0]}/{each[1].name}") for each in FILES])
def test_a_reader_holds_against_an_input_that_is_kept(name: str, path: Path) -> None:
    READERS[name].survives(path.read_bytes())


def test_the_corpus_is_small_and_belongs_to_readers() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= READERS.keys()
    octets = [path.read_bytes() for _, path in FILES]
    assert sum(map(len, octets)) <= MOST_OF_ALL
    assert all(len(each) <= MOST_OCTETS for each in octets)
    assert all(sum(reader == name for reader, _ in FILES) <= MOST_INPUTS for name in READERS)
    assert all(path.name == name_of(each) for (_, path), each in zip(FILES, octets, strict=True))


def locked(octets: bytes) -> None:
    """Comes apart for one beginning of four octets, which chance alone would hardly meet."""
    if octets[:1] != b"o":
        return
    if octets[1:2] != b"p":
        return
    if octets[2:3] != b"e":
        return
    if octets[3:4] == b"n":
        raise ZeroDivisionError


def of_tests(survives: growing.Survives) -> Corpus:
    return Corpus(survives, [], random.Random(1), f"{Path(__file__).parent}/")


def test_an_input_is_kept_for_a_new_way_alone_and_as_short_as_it_can_be() -> None:
    corpus = of_tests(locked)
    assert corpus.learn(b"xyz")
    assert corpus.learn(b"oxygen")
    assert not corpus.learn(b"oxide")
    assert corpus.inputs == [b"", b"o"]


def test_what_takes_a_reader_apart_is_found_step_by_step() -> None:
    found = grown(of_tests(locked), [b"seed"], seconds=60.0, most=1000)
    assert found is not None
    assert found.startswith(b"open")


def test_ways_are_those_through_the_service_alone() -> None:
    codes = {code.co_filename for code, _, _ in ways(READERS["proxy"].survives, b"PROXY UNKNOWN\r\n")}
    assert {Path(each).name for each in codes} == {"proxy.py", "behind_balancers.py"}
