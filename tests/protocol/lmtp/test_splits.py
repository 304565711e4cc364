"""However the octets are cut, the session does the same.

RFC 2920 §3.2, RFC 5321 §4.5.2, RFC 2033 §4.2, RFC 5322 §2.1.
"""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from service.model.refusal import Reason
from service.model.text import LineEnds, Measure, with_crlf
from service.protocol.lmtp.effects import Begin, Deliver, Store
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, World, canonical, codes

TEXT = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a", b"\x00", b"\xff"]), max_size=25).map(
    b"".join
)
LINES = st.sampled_from(
    [
        b"LHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<u@d.example>\r\n", b"RCPT TO:<no@d.example>\r\n", b"DATA\r\n",
        b".\r\n", b"\r\n.\r\n", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0 LAST\r\n", b"RSET\r\n", b"NOOP\r\n",
        b"STARTTLS\r\n", b"VRFY x\r\n", b"abc", b"\n", b"\r", b"\x00\xff", b"a" * 700, b"QUIT\r\n", b"BDAT\r\n",
    ]
)  # fmt: skip
# What STARTTLS drops depends on what came in one piece with it, so these scripts have none.
IN_CLEAR = st.lists(LINES.filter(lambda line: line != b"STARTTLS\r\n"), max_size=30).map(b"".join)
SCRIPTS = st.lists(LINES, max_size=30).map(b"".join)
HALVING = Terms("mx.example", max_octets=40, starttls=True)


def world() -> World:
    return World(LmtpSession(HALVING), unknown={"no@d.example": Reason.NO_RECIPIENT})


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def outcome(one: World) -> tuple[bytes, list[tuple[str, bytes]], bool]:
    return one.output, [(envelope.keyword, text) for envelope, text in one.delivered], one.closed


@given(TEXT)
def test_a_text_split_at_every_octet_is_the_same(text: bytes) -> None:
    whole, split = World(), World()
    data = ENVELOPE + b"DATA\r\n" + text + b"\r\n.\r\n"
    whole.play(data)
    split.play(*(data[at : at + 1] for at in range(len(data))))
    assert outcome(whole) == outcome(split)


@given(TEXT)
def test_what_a_correct_sender_stuffs_arrives_unchanged(text: bytes) -> None:
    line = text if text.endswith(b"\r\n") else text + b"\r\n"
    stuffed = re.sub(rb"(?:^|(?<=\r\n))\.", b"..", line)
    one = World()
    one.play(ENVELOPE + b"DATA\r\n" + stuffed + b".\r\n")
    assert [stored for _, stored in one.delivered] == [line]


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


@settings(max_examples=300)
@given(IN_CLEAR, st.lists(st.integers(0, 3000), max_size=20))
def test_any_script_in_any_pieces_gives_the_same_replies(script: bytes, cuts: list[int]) -> None:
    whole, split = world(), world()
    whole.play(script)
    split.play(*pieces(script, cuts))
    assert outcome(whole) == outcome(split)


@settings(max_examples=300)
@given(st.binary(max_size=400) | SCRIPTS, st.binary(max_size=400))
def test_the_session_never_raises_and_holds_little(first: bytes, second: bytes) -> None:
    one = world()
    one.play(*(first[at : at + 7] for at in range(0, len(first), 7)), second)
    codes(one.output)
    assert one.session.buffered <= 2048 + len(second)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.booleans())
def test_there_is_one_reply_for_each_accepted_recipient(known: list[bool], chunked: bool) -> None:
    one = world()
    names = [b"u%d" % at if good else b"no" for at, good in enumerate(known)]
    one.play(b"LHLO x\r\nMAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<%s@d.example>\r\n" % name for name in names))
    if chunked:
        assert len(codes(one.play(b"BDAT 3 LAST\r\na\r\n"))) == sum(known)
    elif any(known):
        assert len(codes(one.play(b"DATA\r\n"))) == 1
        assert len(codes(one.play(b"a\r\n.\r\n"))) == sum(known)


@given(SCRIPTS)
def test_every_begun_message_ends_in_one_way(script: bytes) -> None:
    one = world()
    one.play(script)
    begun = sum(isinstance(effect, Begin) for effect in one.effects)
    delivered = sum(isinstance(effect, Deliver) for effect in one.effects)
    abandoned = len([effect for effect in one.effects if type(effect).__name__ == "Abandon"])
    assert begun - delivered - abandoned in {0, 1}
    assert all(effect.text for effect in one.effects if isinstance(effect, Store))
