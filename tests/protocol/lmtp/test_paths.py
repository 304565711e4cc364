"""Paths and parameters: RFC 5321 §4.1.1.11, §4.1.2, §4.5.1 (postmaster) and §4.5.5 (null reverse-path)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.lmtp.effects import Resolve
from service.protocol.lmtp.paths import Malformed, is_reverse_path, parse_argument
from tests.protocol.lmtp.world import codes, greeted


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"TO:<u@d.example>", "u@d.example"),
        (b"to: <U@D.Example>", "u@d.example"),
        (b"TO:<@relay,@other:u@d.example>", "u@d.example"),
        (b'TO:<"u"@d.example>', "u@d.example"),
        (b'TO:<"\\u\\."@d.example>', "u.@d.example"),
        (b"TO:<u+tag@d.example>", "u+tag@d.example"),
        (b"TO:<postmaster>", "postmaster@mx.example"),
        (b"TO:<PostMaster>", "postmaster@mx.example"),
    ],
)
def test_where_rcpt_goes(argument: bytes, address: str) -> None:
    world = greeted()
    assert codes(world.play(b"MAIL FROM:<>\r\nRCPT " + argument + b"\r\n")) == [250, 250]
    (effect,) = world.effects
    assert isinstance(effect, Resolve)
    assert str(effect.address) == address


@pytest.mark.parametrize(("path", "may_be"), [("", True), ("a@b", True), ("a", False), ("@b", False), ("a@", False)])
def test_a_reverse_path_is_null_or_has_two_parts(path: str, may_be: bool) -> None:
    assert is_reverse_path(path) is may_be


def test_parameters_are_told_by_keyword_in_any_case() -> None:
    argument = parse_argument("TO:<a@b> size=5 X-Y", "TO:")
    assert argument.path == "a@b"
    assert argument.parameters == {"SIZE": "5", "X-Y": ""}


@given(st.text(max_size=60) | st.text(alphabet='<>@:"\\ a=', max_size=60))
def test_any_text_is_an_argument_or_malformed(text: str) -> None:
    for argument in (text, "TO:" + text, "TO:<" + text + ">"):
        try:
            path = parse_argument(argument, "TO:").path
        except Malformed:
            continue
        assert path in argument
