"""What each LMTP command takes and when: RFC 2033 §4, §4.1 and §4.2, RFC 5321 §3.5.3, §4.1,
§4.1.4, §4.5.3.1.8 (recipients) and §7.3.

RFC 1870 §6 and §6.1 (SIZE), RFC 6531 §3.5 and §4.3 (SMTPUTF8), RFC 3207 §4 (STARTTLS), RFC 3848 §1 (LMTPS).
"""

import pytest

from service.model.refusal import Reason
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, World, codes, greeted, last_line


@pytest.mark.parametrize("line", [b"EHLO x\r\n", b"HELO x\r\n", b"ehlo x\r\n"])
def test_helo_and_ehlo_are_refused_g08_r109(line: bytes) -> None:
    assert last_line(World(), line) == b"500 5.5.1 This is LMTP: say LHLO"


@pytest.mark.parametrize("line", [b"LHLO\r\n", b"LHLO a b\r\n", b"LHLO (x)\r\n", b"LHLO " + b"a" * 256 + b"\r\n"])
def test_lhlo_needs_a_name(line: bytes) -> None:
    assert last_line(World(), line) == b"501 5.5.4 Syntax error in the argument"


@pytest.mark.parametrize(
    "line", ["R\u017fET", "BDAT 3 LA\u017fT\r\nabc", "NOOP \u009b31m", "MAIL FROM:<a\u009bb@c.example> SMTPUTF8"]
)
def test_letters_like_those_of_a_command_and_controls_are_none(line: str) -> None:
    world = World()
    world.play(ENVELOPE)
    assert codes(world.play(f"{line}\r\n".encode()))[0] in {500, 501}
    assert world.closed is line.startswith("BDAT")
    assert world.closed or codes(world.play(b"DATA\r\nx\r\n.\r\n")) == [354, 250]


def test_data_without_a_good_recipient_is_out_of_order_r111() -> None:
    world = World(unknown={"u@d.example": Reason.NO_RECIPIENT})
    assert codes(world.play(ENVELOPE + b"DATA\r\n")) == [220, 250, 250, 550, 503]
    assert last_line(world, b"DATA\r\n") == b"503 5.5.1 No valid recipients"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"MAIL FROM:<>\r\n", [503]),
        (b"RCPT TO:<u@d.example>\r\n", [503]),
        (b"DATA\r\n", [503]),
        (b"LHLO x\r\nRCPT TO:<u@d.example>\r\n", [250, 503]),
        (b"LHLO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n", [250, 250, 503]),
        (b"LHLO x\r\nMAIL FROM:<>\r\nRSET\r\nRCPT TO:<u@d.example>\r\n", [250, 250, 250, 503]),
        (b"LHLO x\r\nMAIL FROM:<>\r\nLHLO x\r\nRCPT TO:<u@d.example>\r\n", [250, 250, 250, 503]),
        (b"NOOP\r\nNOOP x\r\nRSET\r\nHELP\r\nVRFY a\r\nVRFY\r\n", [250, 250, 250, 214, 252, 501]),
        (b"RSET x\r\nDATA x\r\nQUIT x\r\nSTARTTLS x\r\n", [501, 501, 501, 501]),
        (b"FOO\r\n\r\nNO\x00OP\r\nNOOP\x7f\r\n\xff\r\nNOOP\r\n", [500, 500, 500, 500, 500, 250]),
        (b"NOOP \r\nnoop\r\n", [250, 250]),
    ],
)
def test_the_order_of_commands(lines: bytes, expected: list[int]) -> None:
    assert codes(World().play(lines))[1:] == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"FROM:<>", b"250 2.1.0 Sender OK"),
        (b"from:<a@b.example>", b"250 2.1.0 Sender OK"),
        (b"FROM: <a@b.example> ", b"250 2.1.0 Sender OK"),
        (b"FROM:<@x,@y:a@b.example> SIZE=5 BODY=8BITMIME", b"250 2.1.0 Sender OK"),
        (b'FROM:<"a b>"@b.example> body=7bit', b"250 2.1.0 Sender OK"),
        (b"FROM:<\xc3\xa4@b.example> SMTPUTF8", b"250 2.1.0 Sender OK"),
        (b"FROM:<\xc3\xa4@b.example> SMTPUTF8 SMTPUTF8", b"250 2.1.0 Sender OK"),
        (b"FROM:<\xc3\xa4@b.example>", b"550 5.6.7 A non-ASCII address needs SMTPUTF8"),
        (b"FROM:<a@b.example> SIZE=104857600", b"250 2.1.0 Sender OK"),
        (b"FROM:<a@b.example> SIZE=104857601", b"552 5.3.4 Message too big"),
        (b"FROM:<a@b.example> SIZE=99999999999999999999", b"552 5.3.4 Message too big"),
        (b"FROM:<a@b.example> SIZE=x", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> SIZE=\xd9\xa1", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> SIZE=1 SIZE=2", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> SIZE", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> BODY=BINARYMIME", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> SMTPUTF8=1", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example> AUTH=<>", b"555 5.5.4 Unknown parameter"),
        (b"FROM:a@b.example", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<a@b.example>x", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM <a@b.example>", b"501 5.5.4 Syntax error in the argument"),
        (b"TO:<a@b.example>", b"501 5.5.4 Syntax error in the argument"),
        (b"", b"501 5.5.4 Syntax error in the argument"),
        (b"FROM:<nobody>", b"501 5.1.7 Bad reverse-path"),
        (b"FROM:<a@" + b"b" * 600 + b">", b"501 5.5.4 Syntax error in the argument"),
    ],
)
def test_what_mail_accepts(argument: bytes, expected: bytes) -> None:
    assert last_line(greeted(), b"MAIL " + argument + b"\r\n") == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b'TO:<""@d.example>', b"550 5.1.1 No such recipient here"),
        (b'TO:<"a b"@d.example>', b"550 5.1.1 No such recipient here"),
        (b"TO:<u>", b"550 5.1.1 No such recipient here"),
        (b"TO:<>", b"550 5.1.1 No such recipient here"),
        (b"TO:<u@>", b"550 5.1.1 No such recipient here"),
        (b"TO:<u@[127.0.0.1]>", b"550 5.1.1 No such recipient here"),
        (b"TO:<u@d.example> NOTIFY=NEVER", b"555 5.5.4 Unknown parameter"),
        (b"TO:u@d.example", b"501 5.5.4 Syntax error in the argument"),
        (b'TO:<"u@d.example>', b"501 5.5.4 Syntax error in the argument"),
        (b"TO:<\xc3\xbc@d.example>", b"553 5.6.7 A non-ASCII address needs SMTPUTF8"),
    ],
)
def test_what_rcpt_refuses_g06(argument: bytes, expected: bytes) -> None:
    world = greeted()
    world.play(b"MAIL FROM:<>\r\n")
    assert last_line(world, b"RCPT " + argument + b"\r\n") == expected
    assert world.effects == []


def test_an_address_in_utf_8_is_accepted_with_smtputf8() -> None:
    world = greeted()
    lines = "MAIL FROM:<ä@b.example> SMTPUTF8\r\nRCPT TO:<ü@d.example>\r\nDATA\r\n.\r\n"
    assert codes(world.play(lines.encode())) == [250, 250, 354, 250]
    ((envelope, _),) = world.delivered
    assert envelope.keyword == "UTF8LMTP"


def test_recipients_over_the_limit_are_deferred() -> None:
    world = World(LmtpSession(Terms("mx.example", max_recipients=2)))
    world.play(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@d.example>\r\nRCPT TO:<b@d.example>\r\n")
    assert last_line(world, b"RCPT TO:<c@d.example>\r\n") == b"452 4.5.3 Too many recipients"
    assert codes(world.play(b"DATA\r\nx\r\n.\r\n")) == [354, 250, 250]


def test_a_ninth_tenant_is_deferred_but_not_another_maildrop_of_the_first() -> None:
    world = World()
    tenants = b"".join(b"RCPT TO:<u@t%d.example>\r\n" % n for n in range(9))
    output = world.play(b"LHLO x\r\nMAIL FROM:<>\r\n" + tenants + b"RCPT TO:<v@t0.example>\r\n")
    assert codes(output)[3:] == [250] * 8 + [452, 250]


def test_starttls_is_listed_and_accepted_only_where_it_may_be() -> None:
    assert codes(greeted().play(b"STARTTLS\r\n")) == [502]
    world = World(LmtpSession(Terms("mx.example", starttls=True)))
    assert b"250 STARTTLS\r\n" in world.play(b"LHLO x\r\n")
    assert codes(world.play(b"MAIL FROM:<>\r\nSTARTTLS\r\nRSET\r\nSTARTTLS\r\n")) == [250, 503, 250, 220]
    assert b"STARTTLS" not in world.play(b"LHLO x\r\n")
    assert codes(world.play(b"STARTTLS\r\n")) == [503]
    world.play(b"MAIL FROM:<>\r\nRCPT TO:<u@d.example>\r\nDATA\r\n.\r\n")
    assert world.delivered[0][0].keyword == "LMTPS"


@pytest.mark.parametrize(("parameter", "octets"), [(b"", None), (b" SIZE=0", 0), (b" size=12345", 12345)])
def test_the_envelope_says_what_size_declared(parameter: bytes, octets: int | None) -> None:
    world = greeted()
    world.play(b"MAIL FROM:<>" + parameter + b"\r\nRCPT TO:<u@d.example>\r\nDATA\r\n.\r\n")
    assert world.delivered[0][0].declared_octets == octets
