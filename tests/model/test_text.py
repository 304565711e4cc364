"""The canonical form of a text and what is counted of it: RFC 5321 §2.3.8, RFC 1939 §11, RFC 5322 §2.1."""

import hashlib
import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from service.model.text import LineEnds, Measure, with_crlf
from tests.protocol.lmtp.world import TEXT, canonical, pieces


@given(TEXT, st.lists(st.integers(0, 60)))
def test_the_canonical_form_does_not_depend_on_the_pieces(text: bytes, cuts: list[int]) -> None:
    stored = canonical(pieces(text, cuts))
    assert stored == canonical([text])
    assert stored.endswith(b"\r\n")
    assert b"\n" not in stored.replace(b"\r\n", b"")
    assert stored.replace(b"\r\n", b"\n").startswith(text.replace(b"\r\n", b"\n"))
    assert canonical([stored]) == stored


@given(TEXT, st.lists(st.integers(0, 60)))
def test_the_measure_counts_what_is_there(text: bytes, cuts: list[int]) -> None:
    stored = canonical([text])
    measure = Measure()
    for piece in pieces(stored, cuts):
        measure.feed(piece)
    blob = measure.blob("key")
    lines = stored.split(b"\r\n")
    header = lines[: lines.index(b"") + 1]
    assert blob.octets == len(stored)
    assert blob.dotted == any(line.startswith(b".") for line in lines)
    assert blob.header_octets == min(len(stored), sum(len(line) + 2 for line in header))


def test_a_measure_of_a_text_without_a_body_counts_it_all_as_header() -> None:
    measure = Measure()
    measure.feed(b"A: b\r\n")
    assert measure.blob("key").header_octets == 6


def test_a_held_cr_at_the_end_is_kept() -> None:
    ends = LineEnds()
    assert ends.feed(b"a\r") + ends.finish() == b"a\r\r\n"
    assert with_crlf(b"a\nb\r\n") == b"a\r\nb\r\n"


def test_every_mixture_of_line_ends_comes_out_with_each_lf_after_a_cr() -> None:
    for octets in product(b"a\r\n\x00\xff", repeat=6):
        text = bytes(octets)
        assert with_crlf(text) == re.sub(rb"(?<!\r)\n", b"\r\n", text)


def test_an_empty_text_becomes_one_empty_line_of_two_octets() -> None:
    assert canonical([]) == b"\r\n"
    measure = Measure()
    measure.feed(b"\r\n")
    blob = measure.blob("key")
    assert (blob.octets, blob.header_octets, blob.dotted) == (2, 2, False)
    assert blob.sha256 == hashlib.sha256(b"\r\n").digest()


def test_a_dot_at_the_very_beginning_is_a_dotted_line() -> None:
    measure = Measure()
    measure.feed(b".")
    measure.feed(b"\r\n")
    assert measure.blob("key").dotted


def test_the_first_empty_line_ends_the_header_whatever_empty_and_dotted_lines_follow() -> None:
    measure = Measure()
    measure.feed(b"A: b\r\n\r\nbody\r\n\r\n.dot\r\n\r\n")
    blob = measure.blob("key")
    assert (blob.header_octets, blob.dotted) == (8, True)
