"""The bad inputs A01 to E04 that a session alone decides, by their ids.

Rows that need sockets, time or a store are in tests/net and tests/system under the same ids. RFC 6856 §3 (LANG).
"""

from base64 import b64encode

import pytest

from service.model.ending import Ending
from service.model.proof import Password
from service.protocol.pop3.effects import LogIn
from tests.protocol.pop3.world import CLEAR, MESSAGES, NAME, TLS, World

OK = "+OK"
SYNTAX = "-ERR Syntax error"
UNKNOWN = "-ERR Unknown command"
STATE = "-ERR Command not valid in this state"
ABSENT = "-ERR No such message"
AUTH = "-ERR [AUTH] Authentication failed"


def b64(text: bytes) -> bytes:
    return b64encode(text)


IN_TRANSACTION = [
    ("A01", b"NOOP\n", [OK]),
    ("A03", b"NOOP\x00\r\n", [SYNTAX]),
    ("A04", b"\r\n", [SYNTAX]),
    ("A04 spaces alone", b"  \r\n", [SYNTAX]),
    ("A04 bare CR", b"NOOP\rNOOP\r\n", [SYNTAX]),
    ("A04 leading space", b" NOOP\r\n", [SYNTAX]),
    ("A06", b"NOOP \r\n", [OK]),
    ("A06 several", b"STAT   \r\n", ["+OK 3"]),
    ("A06 after a number", b"LIST 1 \r\n", ["+OK 1"]),
    ("A08", b"LIST\t1\r\n", [SYNTAX]),
    ("A08 within", b"LIST 1\t\r\n", [SYNTAX]),
    ("A10", b"XXXX " + b"a" * 248 + b"\r\n", [UNKNOWN]),
    ("A10 at the bound", b"XXXX " + b"a" * 505 + b"\r\n", [UNKNOWN]),
    ("A11", b"XXXX " + b"a" * 506 + b"\r\n", ["-ERR Line too long"]),
    ("A11 then goes on", b"XXXX " + b"a" * 70000 + b"\r\nNOOP\r\n", ["-ERR Line too long", OK]),
    ("A13", b"AB\r\n", [UNKNOWN]),
    ("A14", b"A:B\r\n", [UNKNOWN]),
    ("A14 octets over 127", b"\xff\xfe\r\n", [UNKNOWN]),
    ("A16", b"NOOP\r\n" * 500, [OK] * 500),
    ("B12", b"USER a\r\n", [STATE]),
    ("B13", b"PASS p\r\n", [STATE]),
    ("B13 AUTH", b"AUTH PLAIN\r\n", [STATE]),
    ("B15", b"STLS\r\n", [STATE]),
    ("B16", b"UTF8\r\n", [STATE]),
    ("B18", b"STAT 1\r\n", [SYNTAX]),
    ("B19", b"NOOP 1\r\n", [SYNTAX]),
    ("B19 RSET", b"RSET 1\r\n", [SYNTAX]),
    ("B21", b"CAPA 1\r\n", [SYNTAX]),
    ("C01", b"LIST 0\r\n", [ABSENT]),
    ("C02", b"LIST -1\r\n", [SYNTAX]),
    ("C02 plus", b"LIST +1\r\n", [SYNTAX]),
    ("C04", b"LIST 01\r\n", [SYNTAX]),
    ("C05", b"LIST 1.0\r\n", [SYNTAX]),
    ("C07", b"LIST 0x1\r\n", [SYNTAX]),
    ("C08", b"LIST 1_0\r\n", [SYNTAX]),
    ("C10", b"LIST \xd9\xa1\r\n", [SYNTAX]),
    ("C10 superscript", "LIST ²\r\n".encode(), [SYNTAX]),
    ("C11", b"LIST 1;2\r\n", [SYNTAX]),
    ("C11 two spaces", b"LIST  1\r\n", [SYNTAX]),
    ("C11 two numbers", b"LIST 1 2\r\n", [SYNTAX]),
    ("C11 a range", b"UIDL 1:3\r\n", [SYNTAX]),
    ("C13", b"RETR 4\r\n", [ABSENT]),
    ("C14", b"RETR 4294967297\r\n", [ABSENT]),
    ("C14 64 bit", b"RETR 18446744073709551617\r\n", [ABSENT]),
    ("C16", b"RETR " + b"9" * 200 + b"\r\n", [ABSENT]),
    ("C16 DELE", b"DELE " + b"9" * 200 + b"\r\n", [ABSENT]),
    ("C17", b"RETR\r\n", [SYNTAX]),
    ("C19", b"DELE\r\n", [SYNTAX]),
    ("C19 a space", b"DELE \r\n", [SYNTAX]),
    ("C20", b"TOP 1\r\n", [SYNTAX]),
    ("C20 none", b"TOP\r\n", [SYNTAX]),
    ("C22", b"TOP 1 x\r\n", [SYNTAX]),
    ("C22 negative", b"TOP 1 -1\r\n", [SYNTAX]),
    ("C23", b"TOP 1 1 1\r\n", [SYNTAX]),
    ("C26", b"DELE 1\r\nDELE 1\r\n", [OK, ABSENT]),
    ("C28", b"DELE 1\r\nLIST 1\r\n", [OK, ABSENT]),
    ("C29", b"DELE 1\r\nUIDL 1\r\n", [OK, ABSENT]),
    ("C29 RETR", b"DELE 1\r\nRETR 1\r\n", [OK, ABSENT]),
    ("C29 TOP", b"DELE 1\r\nTOP 1 0\r\n", [OK, ABSENT]),
    ("E04 after login", b"LANG en\r\n", [UNKNOWN]),
]

BEFORE_LOGIN = [
    ("B01", b"STAT\r\n", [STATE]),
    ("B01 LIST", b"LIST\r\n", [STATE]),
    ("B03", b"RETR 1\r\n", [STATE]),
    ("B04", b"DELE 1\r\n", [STATE]),
    ("B04 NOOP", b"NOOP\r\n", [STATE]),
    ("B06", b"RSET\r\n", [STATE]),
    ("B07", b"TOP 1 0\r\n", [STATE]),
    ("B07 UIDL", b"UIDL\r\n", [STATE]),
    ("B09", b"PASS x\r\n", [STATE]),
    ("B16 STLS within TLS", b"STLS\r\n", [STATE]),
    ("D01", b"USER\r\n", [SYNTAX]),
    ("D01 a space", b"USER \r\n", [SYNTAX]),
    ("D02", b"USER " + b"a" * 300 + b"\r\n", [SYNTAX]),
    ("D02 at the bound", b"USER " + b"a" * 255 + b"\r\n", [OK]),
    ("D04", b"USER \xff\xfe\r\n", [SYNTAX]),
    ("D04 surrogate", b"USER \xed\xa0\x80\r\n", [SYNTAX]),
    ("D05", b"USER a\x1b[2J\r\n", [SYNTAX]),
    ("D05 C1", "USER a\u009b2J\r\n".encode(), [SYNTAX]),
    ("D07", b"USER x' OR 1=1--\r\nPASS p\r\n", [OK, AUTH]),
    ("D08", b"USER *)(uid=*\r\nPASS p\r\n", [OK, AUTH]),
    ("D10", b"USER a=b=2Cc\r\nPASS p\r\n", [OK, AUTH]),
    ("D11", b"USER ../../etc\r\nPASS p\r\n", [OK, AUTH]),
    ("D13", b"USER a\r\nPASS " + b"p" * 300 + b"\r\n", [OK, AUTH]),
    ("D13 empty", b"USER a\r\nPASS \r\n", [OK, AUTH]),
    ("D13 not UTF-8", b"USER a\r\nPASS \xff\r\n", [OK, AUTH]),
    ("D16", b"AUTH FOO\r\n", ["-ERR Unsupported mechanism"]),
    ("D16 two spaces", b"AUTH  PLAIN\r\n", [SYNTAX]),
    ("D16 three words", b"AUTH PLAIN a b\r\n", [SYNTAX]),
    ("D17", b"AUTH PLAIN\r\n*\r\n", ["+ ", "-ERR Authentication cancelled"]),
    ("D17 LOGIN", b"AUTH LOGIN\r\n*\r\n", ["+ VXNlcm5hbWU6", "-ERR Authentication cancelled"]),
    ("D19", b"AUTH PLAIN\r\n=AAA\r\n", ["+ ", SYNTAX]),
    ("D20", b"AUTH PLAIN\r\nA\r\n", ["+ ", SYNTAX]),
    ("D20 inner padding", b"AUTH PLAIN\r\nAA==AAAA\r\n", ["+ ", SYNTAX]),
    ("D22", b"AUTH PLAIN\r\nAGEA Yg==\r\n", ["+ ", SYNTAX]),
    ("D23", b"AUTH PLAIN\r\n!!!!\r\n", ["+ ", SYNTAX]),
    ("D23 inline", b"AUTH PLAIN !!!!\r\n", [SYNTAX]),
    ("D25", b"AUTH PLAIN =\r\n", [AUTH]),
    ("D26 one NUL", b"AUTH PLAIN " + b64(b"a\0b") + b"\r\n", [AUTH]),
    ("D26 three NULs", b"AUTH PLAIN " + b64(b"a\0b\0c\0d") + b"\r\n", [AUTH]),
    ("D28", b"AUTH PLAIN " + b64(b"other\0" + NAME.encode() + b"\0good pass") + b"\r\n", [AUTH]),
    ("D29", b"AUTH PLAIN " + b64(b"\0u\r\nQUIT\0p") + b"\r\n", [AUTH]),
    ("D31", b"AUTH PLAIN\r\n" + b"A" * 20000 + b"\r\n", ["+ ", "-ERR Line too long"]),
    ("D31 inline", b"AUTH PLAIN " + b"A" * 20000 + b"\r\n", ["-ERR Line too long"]),
    ("E01", b"UTF8 x\r\n", [SYNTAX]),
    ("E04", b"LANG en\r\n", [UNKNOWN]),
    ("E04 APOP", b"APOP a 0123456789abcdef0123456789abcdef\r\n", [UNKNOWN]),
]

IN_CLEAR = [
    ("B24", b"STLS 1\r\n", [SYNTAX]),
    ("B25", b"USER a\r\n", ["-ERR TLS required"]),
    ("B25 PASS", b"PASS a\r\n", ["-ERR TLS required"]),
    ("B25 AUTH", b"AUTH PLAIN " + b64(b"\0a\0b") + b"\r\n", ["-ERR TLS required"]),
    ("B25 AUTH without response", b"AUTH PLAIN\r\n", ["-ERR TLS required"]),
]


def status_lines(output: bytes) -> list[str]:
    assert output.endswith(b"\r\n")
    return output[:-2].decode().split("\r\n")


def check(world: World, sent: bytes, expected: list[str]) -> None:
    lines = status_lines(world.send(sent))
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IN_TRANSACTION])
def test_a_bad_input_in_transaction_gets_its_answer(sent: bytes, expected: list[str]) -> None:
    world = World().log_in()
    check(world, sent, expected)
    assert world.closed is None
    assert world.send(b"NOOP\r\n") == b"+OK\r\n"


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in BEFORE_LOGIN])
def test_a_bad_input_before_login_gets_its_answer(sent: bytes, expected: list[str]) -> None:
    check(World(TLS), sent, expected)


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IN_CLEAR])
def test_a_bad_input_in_clear_gets_its_answer(sent: bytes, expected: list[str]) -> None:
    check(World(CLEAR), sent, expected)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="A19"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n\x00", id="A19 with a line end inside"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="A20"),
        pytest.param(b"POST /USER HTTP/1.0\r\n\r\nUSER a\r\n", id="A20 POST"),
        pytest.param(b"CONNECT mail:110 HTTP/1.1\r\n\r\n", id="A20 CONNECT"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="A20 HTTP/2"),
    ],
)
@pytest.mark.parametrize("around", [CLEAR, TLS], ids=["clear", "tls"])
def test_another_protocol_is_closed_without_a_word(sent: bytes, around: object) -> None:
    world = World(around)  # type: ignore[arg-type]
    assert world.send(sent) == b""
    assert world.closed is Ending.FOREIGN


def test_b10_any_command_between_user_and_pass_breaks_the_pair() -> None:
    world = World(TLS)
    assert world.send(b"USER a\r\n").startswith(b"+OK")
    assert world.send(b"CAPA\r\n").endswith(b"\r\n.\r\n")
    assert world.send(b"PASS p\r\n") == b"-ERR Command not valid in this state\r\n"


@pytest.mark.parametrize("between", [b"NONSENSE\r\n", b"\r\n", b"QUIT now\r\n", b"STAT\r\n", b"USER\r\n"])
def test_b10_an_erroneous_command_between_breaks_the_pair_too(between: bytes) -> None:
    world = World(TLS)
    world.send(b"USER a\r\n" + between)
    assert world.send(b"PASS p\r\n") == b"-ERR Command not valid in this state\r\n"


def test_b22_a_malformed_quit_is_no_quit() -> None:
    world = World().log_in()
    check(world, b"DELE 1\r\nQUIT now\r\n", [OK, SYNTAX])
    assert world.closed is None
    assert len(world.messages) == 3


def test_c25_top_with_no_lines_sends_header_and_empty_line_only() -> None:
    world = World().log_in()
    assert world.send(b"TOP 3 0\r\n") == b"+OK\r\nSubject: three\r\nX: y\r\n\r\n.\r\n"


def test_d13_a_password_over_255_octets_is_never_offered_for_hashing() -> None:
    world = World(TLS)
    world.send(b"USER a\r\nPASS " + b"p" * 300 + b"\r\n")
    assert world.performed == [LogIn("USER", Password("a", "p" * 300, usable=False))]


def test_d31_a_response_over_16_kib_closes_the_connection() -> None:
    world = World(TLS)
    world.send(b"AUTH PLAIN\r\n" + b"A" * 20000 + b"\r\n")
    assert world.closed is Ending.LINE_TOO_LONG


def test_d31_a_response_within_16_kib_is_read_whole() -> None:
    world = World(TLS)
    assert world.send(b"AUTH PLAIN\r\n" + b"QUFB" * 4000 + b"\r\n") == b"+ \r\n" + AUTH.encode() + b"\r\n"
    assert world.closed is None


def test_e03_a_message_with_raw_utf8_is_sent_as_stored_without_utf8_issued() -> None:
    message = "Subject: Grüße\r\n\r\nñandú\r\n".encode()
    world = World(messages=[message]).log_in()
    assert message in world.send(b"RETR 1\r\n")
    assert message.partition(b"\r\n\r\n")[0] in world.send(b"TOP 1 0\r\n")


def test_the_messages_of_these_tests_are_three() -> None:
    assert len(MESSAGES) == 3
