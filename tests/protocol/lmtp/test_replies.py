"""How replies look: RFC 5321 §4.2 and §4.2.1, RFC 2033 §5, RFC 2034 §4 (enhanced codes), RFC 2920 §2."""

import re

import pytest

from service.model.refusal import Reason
from service.protocol.lmtp import replies
from service.protocol.lmtp.replies import Reply
from tests.protocol.lmtp.world import ENVELOPE, World

EVERY = [one for one in vars(replies).values() if isinstance(one, Reply)] + list(replies.REFUSED.values())


def test_lhlo_lists_the_extensions_r112() -> None:
    assert World().play(b"LHLO client.example\r\n").split(b"\r\n")[1:] == [
        b"250-mx.example",
        b"250-PIPELINING",
        b"250-ENHANCEDSTATUSCODES",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-CHUNKING",
        b"250 SIZE 104857600",
        b"",
    ]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_reply_with_a_matching_enhanced_code(reason: Reason) -> None:
    world = World(unknown={"u@d.example": reason})
    reply = world.play(ENVELOPE).split(b"\r\n")[-2]
    assert reply[:1] in b"45"
    assert reply[4:6] == reply[:1] + b"."


@pytest.mark.parametrize("reply", EVERY, ids=str)
def test_every_reply_is_one_line_whose_enhanced_code_has_its_class(reply: Reply) -> None:
    line = bytes(reply)
    assert re.fullmatch(rb"([245])\d\d (\1\.\d\.\d )?[ -~]+\r\n|354 [ -~]+\r\n", line)
    assert len(line) <= 512


def test_every_reason_is_in_the_table() -> None:
    assert set(replies.REFUSED) == set(replies.AFTER_TEXT) == set(Reason)


def test_whoever_was_accepted_is_never_unknown_after_the_text() -> None:
    """RFC 5321 §4.2.1: 4yz has the sender come again, 5yz has it give up."""
    world = World(failing={"u@d.example": Reason.NO_RECIPIENT})
    assert world.play(ENVELOPE + b"DATA\r\n.\r\n").endswith(b"\r\n451 4.3.0 Temporary failure, try again later\r\n")
