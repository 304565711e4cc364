"""Byte-stuffing and TOP's cut, for any text in any pieces. RFC 1939 §3, §7."""

from hypothesis import example, given
from hypothesis import strategies as st

from service.protocol.bytestuffing import Stuffer, TopCut
from tests.protocol.test_lines import in_pieces

texts = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r", b" "]), max_size=24).map(b"".join)
cuts = st.lists(st.integers(0, 60), max_size=24)


def stuffed(text: bytes, where: list[int]) -> bytes:
    stuffer = Stuffer()
    return b"".join(map(stuffer.feed, in_pieces(text, where))) + stuffer.finish()


def unstuffed(response: bytes) -> bytes:
    """What a client makes of a multi-line response, line by line."""
    lines = []
    for line in response.split(b"\r\n"):
        if line == b".":
            break
        lines.append(line.removeprefix(b"."))
    return b"".join(line + b"\r\n" for line in lines)


@given(texts, cuts)
@example(b".\r\n", [1])
@example(b"\r\n.\r\n", [1, 2, 3])
@example(b"a\r\n.", [2, 3])
def test_a_client_reads_back_exactly_what_was_stored(text: bytes, where: list[int]) -> None:
    stored = text + b"\r\n"
    response = stuffed(stored, where)
    assert response.endswith(b"\r\n.\r\n")
    assert unstuffed(response) == stored


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b".", b"a", b"\r"]), max_size=24).map(b"".join), cuts)
@example(b"broken\x0c\n.\r\nmore", [])
@example(b"\n.\n", [1])
def test_g8_no_octets_however_broken_end_a_response_early_for_whoever_ends_lines_at_lf(
    text: bytes, where: list[int]
) -> None:
    lines = stuffed(text, where).split(b"\n")
    assert [place for place, line in enumerate(lines) if line in {b".", b".\r"}] == [len(lines) - 2]


@given(texts, cuts)
def test_pieces_don_t_show(text: bytes, where: list[int]) -> None:
    assert stuffed(text, where) == stuffed(text, [])


def test_a_dot_that_is_the_very_first_octet_is_doubled() -> None:
    assert stuffed(b".first\r\n", []) == b"..first\r\n.\r\n"


def test_a_missing_last_line_end_is_repaired() -> None:
    assert stuffed(b"no end", []) == b"no end\r\n.\r\n"
    assert stuffed(b"half an end\r", []) == b"half an end\r\r\n.\r\n"


def test_an_empty_message_of_one_line_end_has_one_empty_line() -> None:
    assert stuffed(b"\r\n", []) == b"\r\n.\r\n"


def test_a_text_without_dotted_lines_passes_untouched() -> None:
    stuffer = Stuffer(dotted=False)
    assert stuffer.feed(b"a\r\nb\r\n") + stuffer.finish() == b"a\r\nb\r\n.\r\n"


def topped(text: bytes, lines: int, where: list[int]) -> bytes:
    found = text.find(b"\r\n\r\n")
    header = found + 4 if found >= 0 else len(text)
    cut = TopCut(header, lines)
    return b"".join(map(cut.feed, in_pieces(text, where))) + cut.finish()


@given(st.lists(st.sampled_from([b"", b"l", b".", b"longer line"]), max_size=8), st.integers(0, 10), cuts)
def test_top_sends_header_empty_line_and_so_many_lines(body: list[bytes], lines: int, where: list[int]) -> None:
    header = b"A: b\r\nC: d\r\n\r\n"
    text = header + b"".join(line + b"\r\n" for line in body)
    assert topped(text, lines, where) == header + b"".join(line + b"\r\n" for line in body[:lines])


def test_top_gives_a_header_without_body_its_empty_line() -> None:
    assert topped(b"A: b\r\n", 0, []) == b"A: b\r\n\r\n"


def test_top_of_an_empty_message_is_one_empty_line() -> None:
    assert topped(b"\r\n", 5, []) == b"\r\n"


def test_top_is_done_when_nothing_more_can_pass() -> None:
    cut = TopCut(6, 1)
    cut.feed(b"A: b\r\n")
    assert not cut.done
    cut.feed(b"line\r\nmore\r\n")
    assert cut.done
    assert cut.feed(b"still more") == b""


def test_top_with_a_huge_count_sends_all() -> None:
    text = b"A: b\r\n\r\n" + b"l\r\n" * 1000
    assert topped(text, 99_999_999, [10, 100]) == text
