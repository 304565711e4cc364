"""The grammar of command lines. RFC 1939 §3 and §9, RFC 2449 §4, RFC 5034 §5, RFC 6856 §2.2, RFC 8446 §5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.proof import Password
from service.protocol.pop3 import commands, responses
from service.protocol.pop3.effects import LogIn
from service.protocol.pop3.table import TABLE
from tests.protocol.pop3.world import NAME, TLS, World


def test_every_command_of_rfc_1939_and_its_extensions_exists_but_apop_and_lang() -> None:
    assert set(TABLE) == {
        *(b"USER", b"PASS", b"QUIT", b"STAT", b"LIST", b"RETR", b"DELE", b"NOOP", b"RSET", b"TOP", b"UIDL"),
        *(b"CAPA", b"STLS", b"AUTH", b"UTF8"),
    }


@pytest.mark.parametrize("line", [b"stat", b"Stat", b"sTaT"])
def test_keywords_are_matched_without_regard_to_case(line: bytes) -> None:
    assert World().log_in().send(line + b"\r\n").startswith(b"+OK 3 ")


def test_spaces_belong_to_a_password() -> None:
    assert commands.password(b" two  spaces ") == (b" two  spaces ",)
    world = World()
    world.send(f"USER {NAME}\r\nPASS  two  spaces \r\n".encode())
    assert world.performed == [LogIn("USER", Password(NAME, " two  spaces "))]


@pytest.mark.parametrize("line", [b"PASS a\0b", b"XYZZY a\0b", b"STAT \0", b"\0", b"ST\x7fAT", b" ", b""])
def test_a_nul_or_a_control_character_in_the_keyword_is_a_syntax_error_in_each_state(line: bytes) -> None:
    for world in (World(), World().log_in()):
        world.send(f"USER {NAME}\r\n".encode())
        assert world.send(line + b"\r\n") == responses.SYNTAX_ERROR
        assert world.performed == []


def test_a_name_may_be_utf_8_and_hold_spaces() -> None:
    assert commands.name("Grüße an@example.org ".encode()) == ("Grüße an@example.org",)


@given(st.integers(0, 10**30))
def test_plain_decimal_numbers_are_read_exactly(value: int) -> None:
    assert commands.number(str(value).encode()) == (value,)


@given(st.text(max_size=6))
def test_nothing_but_plain_decimal_is_a_number(text: str) -> None:
    plain = text.rstrip(" ")
    wanted = plain.isascii() and plain.isdigit() and (plain == "0" or not plain.startswith("0"))
    try:
        (value,) = commands.number(text.encode())
    except commands.SyntaxRefusedError:
        assert not wanted
    else:
        assert wanted
        assert value == int(plain)


@given(st.binary(max_size=600))
def test_any_line_before_login_gets_one_answer_and_nothing_breaks(line: bytes) -> None:
    world = World(TLS)
    answer = world.send(line.replace(b"\n", b"") + b"\r\n")
    assert world.closed or answer.endswith(b"\r\n")


@given(
    st.lists(
        st.sampled_from([b"LIST", b"TOP", b"1", b"2", b" ", b"\r\n", b"DELE", b"\0", b"RETR", b"-", b"QUI"]),
        max_size=30,
    )
)
def test_any_commands_after_login_are_answered_in_order_and_nothing_is_removed(words: list[bytes]) -> None:
    world = World().log_in()
    world.send(b"".join(words) + b"\r\n")
    assert len(world.messages) == 3
