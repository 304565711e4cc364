"""Framing: any split gives the same lines, and no peer makes it hold more than its bound. RFC 1939 §3, RFC 2449 §4."""

from hypothesis import given
from hypothesis import strategies as st

from service.protocol.lines import DEAF, Lines, Overlong

BOUND, USUAL = 32, 8


def taken(lines: Lines) -> list[bytes | Overlong]:
    found: list[bytes | Overlong] = []
    while (line := next_of(lines)) is not None:
        found.append(line)
    return found


def next_of(lines: Lines) -> bytes | Overlong | None:
    usual = lines.take()
    return lines.take_long() if usual is None else usual


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_crlf_and_a_bare_lf_both_end_a_line() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"one\r\ntwo\nthree")
    assert taken(lines) == [b"one", b"two"]
    assert lines.unfinished() == b"three"


def test_a_line_of_usual_length_is_taken_at_once_and_a_longer_one_is_not() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"x" * (USUAL - 2) + b"\r\n" + b"y" * (USUAL - 1) + b"\r\nz")
    assert lines.take() == b"x" * (USUAL - 2)
    assert lines.take() is None
    assert lines.take_long() == b"y" * (USUAL - 1)
    assert lines.take() is lines.take_long() is None


def test_what_is_left_of_an_overlong_line_is_no_line_however_short() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"x" * 100)
    assert lines.take() is lines.take_long() is None
    lines.receive(b"y\r\nz\r\n")
    assert lines.take() is None
    assert lines.take_long() == Overlong(b"x" * 16)
    assert lines.take() == b"z"


def test_who_is_deaf_holds_nothing() -> None:
    DEAF.receive(b"STAT\r\nhalf a li")
    assert (DEAF.held, DEAF.take(), DEAF.take_long(), DEAF.unfinished()) == (0, None, None, b"")


def test_only_one_cr_belongs_to_the_line_end() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"a\r\r\nb\rc\r\n")
    assert taken(lines) == [b"a\r", b"b\rc"]


def test_an_overlong_line_is_reported_once_with_its_start() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"AUTH " + b"x" * 1000 + b"\r\nNOOP\r\n")
    assert taken(lines) == [Overlong(b"AUTH xxxxxxxxxxx"), b"NOOP"]


def test_an_endless_line_is_not_held() -> None:
    lines = Lines(BOUND, USUAL)
    for _ in range(1000):
        lines.receive(b"x" * 1000)
        assert next_of(lines) is None
        assert lines.held <= BOUND
    lines.receive(b"\nNOOP\n")
    assert taken(lines) == [Overlong(b"x" * 16), b"NOOP"]


def test_what_is_discarded_leaves_no_half_line() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"one\r\nhalf a li")
    lines.discard()
    lines.receive(b"NOOP\r\n")
    assert taken(lines) == [b"NOOP"]
    assert lines.held == 0


def test_what_is_discarded_leaves_no_overlong_line() -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(b"x" * 1000)
    lines.discard()
    lines.receive(b"NOOP\r\n")
    assert taken(lines) == [b"NOOP"]


_octets = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"bb", b"x" * 20, b"\0"]), max_size=40).map(b"".join)


@given(_octets, st.lists(st.integers(0, 400), max_size=20), st.sampled_from([1, USUAL, BOUND]))
def test_any_split_gives_the_same_lines(data: bytes, cuts: list[int], usual: int) -> None:
    whole, split = Lines(BOUND, BOUND), Lines(BOUND, usual)
    whole.receive(data)
    found: list[bytes | Overlong] = []
    for piece in in_pieces(data, cuts):
        split.receive(piece)
        found += taken(split)
    assert taken(whole) == found
    assert whole.held == split.held


@given(_octets)
def test_held_counts_the_octets_that_wait(data: bytes) -> None:
    lines = Lines(BOUND, USUAL)
    lines.receive(data)
    assert lines.held == len(data)
    taken(lines)
    assert lines.held <= BOUND
    # Of an overlong line nothing waits any more, but how it began is known.
    assert lines.held in {0, len(lines.unfinished())}
