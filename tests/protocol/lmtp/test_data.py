"""Where text begins and ends. RFC 5321 §4.1.1.4 and §4.5.2, RFC 2033 §4.2 and §4.3, RFC 3030 §2, RFC 1939 §11."""

import pytest

from service.model.refusal import Reason
from service.model.text import Measure
from service.protocol.lmtp.effects import Abandon, Begin, Close, Deliver, Store
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, World, canonical, codes, sent

EVIL = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\nFrom: boss\r\n\r\npay\r\n.\r\n"


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        (b"\n.\r\n", b"\r\n.\r\n"),
        (b"\n.\n", b"\r\n.\r\n"),
        (b"\r.\r\n", b"\r.\r\n"),
        (b"\r.\r", b"\r.\r"),
        (b"\r\n.\n", b"\r\n\r\n"),
        (b"\r\n.\r", b"\r\n\r"),
        (b"\n.\r", b"\r\n.\r"),
        (b"\r\r\n.\n", b"\r\r\n\r\n"),
        (b"\r\n\x00.\r\n", b"\r\n\x00.\r\n"),
    ],
)
def test_only_crlf_dot_crlf_ends_the_data_g02_g03_g05(end: bytes, kept: bytes) -> None:
    world = World()
    output = world.play(ENVELOPE + b"DATA\r\nbody" + end + EVIL)
    assert codes(output) == [220, 250, 250, 250, 354, 250]
    ((_, text),) = world.delivered
    assert canonical([text]) == b"body" + kept + EVIL[:-3]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (b".\r\n", b"\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\nb\n.c\n..d\r\n.\r\n", b"a\r\nb\r\n.c\r\n..d\r\n"),
        (b"a\rb\r\r\n\n\r\n.\r\n", b"a\rb\r\r\n\r\n\r\n"),
        (b"\n.\r\n\r\n.\r\n", b"\r\n.\r\n\r\n"),
        (b"\x00\xff\x80\r\n.\r\n", b"\x00\xff\x80\r\n"),
    ],
)
def test_what_is_stored_of_what_is_sent(text: bytes, stored: bytes) -> None:
    assert sent(text) == stored


def test_a_cut_before_the_final_dot_delivers_nothing_g09() -> None:
    world = World()
    world.play(ENVELOPE + b"DATA\r\nhello\r\n.\r")
    assert world.delivered == []
    assert not any(isinstance(effect, Deliver) for effect in world.effects)


def test_text_over_the_limit_is_swallowed_and_refused_for_each_recipient_g11() -> None:
    world = World(LmtpSession(Terms("mx.example", max_octets=1000)))
    world.play(ENVELOPE + b"RCPT TO:<v@d.example>\r\nDATA\r\n")
    assert world.play(*[b"a" * 300 + b"\r\n"] * 9) == b""
    assert isinstance(world.effects[-1], Abandon)
    assert world.play(b".\r\nNOOP\r\n") == b"552 5.3.4 Message too big\r\n" * 2 + b"250 2.0.0 OK\r\n"
    assert world.delivered == []


def test_text_of_exactly_the_limit_is_delivered() -> None:
    world = World(LmtpSession(Terms("mx.example", max_octets=1000)))
    assert codes(world.play(ENVELOPE + b"DATA\r\n" + b"a" * 998 + b"\r\n.\r\n"))[4:] == [354, 250]


@pytest.mark.parametrize(
    "text", [b"X: y\r\n" * 500_000, b"X: " + b"y" * 10_000_000 + b"\r\n", b".\r\n" * 9 + b"\n.\r" * 2_000_000]
)
def test_huge_headers_cost_one_pass_g12(text: bytes) -> None:
    # Work that grows with the square of the octets would run into the test's time limit.
    world, measure = World(), Measure()
    world.play(ENVELOPE + b"DATA\r\n")
    stuffed = text.replace(b"\r\n.", b"\r\n..").removeprefix(b".")
    pieces = [stuffed[at : at + 65536] for at in range(0, len(stuffed), 65536)]
    assert codes(world.play(*pieces, b"\r\n.\r\n")) == [250]
    stored = canonical(effect.text for effect in world.effects if isinstance(effect, Store))
    measure.feed(stored)
    assert measure.blob("key").octets == len(stored)


def test_text_that_finds_no_room_is_swallowed_and_refused_for_each_recipient() -> None:
    world = World(refuse_store=Reason.OVERLOADED)
    output = world.play(ENVELOPE + b"RCPT TO:<v@d.example>\r\nDATA\r\n", b"one\r\n", b"two\r\n.\r\nNOOP\r\n")
    assert codes(output)[5:] == [354, 451, 451, 250]
    assert [type(effect) for effect in world.effects[2:]] == [Begin, Store, Abandon]


def test_a_large_text_is_passed_on_in_bounded_pieces() -> None:
    world = World()
    world.play(ENVELOPE + b"DATA\r\n" + b"line\r\n" * 500_000 + b".\r\n")
    stores = [effect for effect in world.effects if isinstance(effect, Store)]
    assert max(len(effect.text) for effect in stores) <= 256 * 1024
    assert b"".join(effect.text for effect in stores) == b"line\r\n" * 500_000


def test_chunks_are_counted_and_not_unstuffed() -> None:
    world = World()
    output = world.play(ENVELOPE + b"BDAT 6\r\na\r\n.\r\nBDAT 3\r\n.\nbNOOP\r\nBDAT 0 last\r\n")
    assert codes(output)[4:] == [250, 250, 250, 250]
    ((_, text),) = world.delivered
    assert canonical([text]) == b"a\r\n.\r\n.\r\nb\r\n"


def test_a_crlf_cut_by_two_chunks_is_one_line_end() -> None:
    world = World()
    world.play(ENVELOPE + b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb")
    ((_, text),) = world.delivered
    assert canonical([text[:2], text[2:]]) == b"a\r\nb\r\n"


def test_the_last_chunk_is_answered_for_each_recipient() -> None:
    world = World(failing={"v@d.example": Reason.UNAVAILABLE})
    output = world.play(ENVELOPE + b"RCPT TO:<v@d.example>\r\nBDAT 1\r\naBDAT 1 LAST\r\nb")
    assert codes(output)[5:] == [250, 250, 451]


def test_an_empty_message_in_one_chunk() -> None:
    world = World()
    assert codes(world.play(ENVELOPE + b"BDAT 0 LAST\r\n"))[4:] == [250]
    assert canonical([world.delivered[0][1]]) == b"\r\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"", [503, 503, 250]),
        (b"LHLO x\r\nMAIL FROM:<>\r\n", [503, 250]),
    ],
)
def test_the_octets_of_a_rejected_chunk_are_no_commands(before: bytes, expected: list[int]) -> None:
    world = World()
    world.play(before)
    assert codes(world.play(b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n")) == expected
    assert world.effects == []


def test_a_chunk_after_the_last_one_is_out_of_order() -> None:
    world = World()
    world.play(ENVELOPE + b"BDAT 1 LAST\r\na")
    assert codes(world.play(b"BDAT 1\r\naBDAT 1 LAST\r\na")) == [503, 503]


def test_chunks_over_the_limit_are_refused_and_the_rest_is_swallowed() -> None:
    world = World(LmtpSession(Terms("mx.example", max_octets=10)))
    world.play(ENVELOPE + b"RCPT TO:<v@d.example>\r\n")
    assert codes(world.play(b"BDAT 8\r\n" + b"a" * 8 + b"BDAT 8\r\n" + b"a" * 8)) == [250, 552]
    assert codes(world.play(b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n")) == [552, 552, 552]
    assert codes(world.play(b"DATA\r\n")) == [503]
    assert world.delivered == []


def test_a_store_that_refuses_to_begin_refuses_each_chunk() -> None:
    world = World(refuse_begin=Reason.UNAVAILABLE)
    assert codes(world.play(ENVELOPE + b"BDAT 1\r\naBDAT 1 LAST\r\nb"))[4:] == [451, 451]


@pytest.mark.parametrize("line", [b"RSET", b"LHLO x"])
def test_a_transaction_is_abandoned_between_chunks(line: bytes) -> None:
    world = World()
    assert codes(world.play(ENVELOPE + b"BDAT 1\r\na" + line + b"\r\nBDAT 1 LAST\r\nb"))[4:] == [250, 250, 503]
    assert [type(effect) for effect in world.effects[1:]] == [Begin, Store, Abandon]


@pytest.mark.parametrize("line", [b"DATA", b"MAIL FROM:<>", b"RCPT TO:<v@d.example>"])
def test_nothing_else_may_stand_between_chunks(line: bytes) -> None:
    world = World()
    assert codes(world.play(ENVELOPE + b"BDAT 1\r\na" + line + b"\r\nBDAT 1 LAST\r\nb"))[4:] == [250, 503, 250]
    assert len(world.delivered) == 1


@pytest.mark.parametrize("argument", [b"", b"x", b"-1", b"1 FIRST", b"1LAST", b"+1", b"9" * 21, b"\xd9\xa1"])
def test_a_chunk_of_unknown_extent_ends_the_connection(argument: bytes) -> None:
    world = World()
    assert codes(world.play(ENVELOPE + b"BDAT " + argument + b"\r\nQUIT\r\n"))[4:] == [501]
    assert isinstance(world.effects[-1], Close)
