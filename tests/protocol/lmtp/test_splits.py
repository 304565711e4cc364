"""However the octets are cut, the session does the same.

RFC 2920 §3.2, RFC 5321 §4.5.2, RFC 2033 §4.2, RFC 5322 §2.1.
"""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from service.model.refusal import Reason
from service.protocol.lmtp.effects import Begin, Deliver, Store
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, TEXT, World, codes, pieces

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
