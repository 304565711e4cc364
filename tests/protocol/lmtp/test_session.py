"""The LMTP session's commands, their order and their replies.

RFC 2033 §4, §4.1, §4.2 and §5; RFC 5321 §2.3.8, §3.8, §4.1, §4.1.1.11, §4.1.4, §4.2, §4.2.1, §4.5.1, §4.5.3.1.4,
§4.5.5 and §7.3; RFC 1870 §6 and §6.1; RFC 2034 §4; RFC 2920 §2; RFC 3207 §4.2; RFC 3848 §1; RFC 6531 §3.4, §3.5, §4.3.
"""

import pytest

from service.model.refusal import Reason, Refusal
from service.protocol.lmtp.effects import Answered, Begin, Close, Deliver, Resolve, StartTls
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, TERMS, World, codes, recipient


def last_line(world: World, data: bytes) -> bytes:
    return world.play(data).split(b"\r\n")[-2]


def greeted() -> World:
    world = World()
    world.play(b"LHLO client.example\r\n")
    return world


def test_the_greeting_comes_first() -> None:
    assert World().play() == b"220 mx.example LMTP Poplar\r\n"


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


@pytest.mark.parametrize("line", [b"EHLO x\r\n", b"HELO x\r\n", b"ehlo x\r\n"])
def test_helo_and_ehlo_are_refused_g08_r109(line: bytes) -> None:
    assert last_line(World(), line) == b"500 5.5.1 This is LMTP: say LHLO"


@pytest.mark.parametrize("line", [b"LHLO\r\n", b"LHLO a b\r\n", b"LHLO (x)\r\n", b"LHLO " + b"a" * 256 + b"\r\n"])
def test_lhlo_needs_a_name(line: bytes) -> None:
    assert last_line(World(), line) == b"501 5.5.4 Syntax error in the argument"


def test_a_whole_delivery() -> None:
    world = World()
    output = world.play(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
    assert codes(output) == [220, 250, 250, 250, 354, 250, 221]
    ((envelope, text),) = world.delivered
    assert envelope.reverse_path == "a@b.example"
    assert envelope.client_name == "client.example"
    assert envelope.keyword == "LMTP"
    assert [one.address for one in envelope.recipients] == ["u@d.example"]
    assert text == b"Subject: x\r\n\r\nhello\r\n"
    assert world.closed


def test_each_recipient_gets_its_own_reply_in_order_r110() -> None:
    world = World(failing={"b@d.example": Reason.OVER_QUOTA, "c@d.example": Reason.NEVER_FITS})
    world.play(b"LHLO x\r\nMAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<%c@d.example>\r\n" % c for c in b"abcda"))
    output = world.play(b"DATA\r\nx\r\n.\r\n")
    assert output.split(b"\r\n")[1:] == [
        b"250 2.0.0 Delivered",
        b"452 4.2.2 Maildrop full",
        b"552 5.2.2 Message exceeds the quota of the maildrop",
        b"250 2.0.0 Delivered",
        b"250 2.0.0 Delivered",
        b"",
    ]


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


def test_a_bare_lf_ends_no_command() -> None:
    assert codes(greeted().play(b"NOOP\nQUIT\r\n")) == [500]


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
        (b"FROM:<\xc3\xa4@b.example>", b"553 5.6.7 A non-ASCII address needs SMTPUTF8"),
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


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_reply_with_a_matching_enhanced_code(reason: Reason) -> None:
    world = World(unknown={"u@d.example": reason})
    reply = world.play(ENVELOPE).split(b"\r\n")[-2]
    assert reply[:1] in b"45"
    assert reply[4:6] == reply[:1] + b"."


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


def test_an_overlong_line_is_reported_once_and_the_session_goes_on() -> None:
    world = greeted()
    assert codes(world.play(b"NOOP " + b"a" * 2041 + b"\r\n")) == [250]
    assert codes(world.play(b"NOOP " + b"a" * 2042 + b"\r\nNOOP\r\n")) == [500, 250]
    assert codes(world.play(*[b"a" * 1000] * 50, b"\r", b"\nNOOP\r\n")) == [500, 250]
    assert world.widest <= 2048 + 1000


def test_pipelined_commands_are_answered_in_one_output() -> None:
    session = LmtpSession(TERMS)
    session.receive(b"LHLO x\r\nMAIL FROM:<>\r\nNOOP\r\nRCPT TO:<u@d.example>\r\nRCPT TO:<v@d.example>\r\n")
    step = session.advance()
    assert codes(step.output) == [220, 250, 250, 250]
    assert isinstance(step.effect, Resolve)
    assert session.advance().effect is None, "an effect is told once"
    session.resolved(Refusal(Reason.UNAVAILABLE))
    step = session.advance()
    assert step.output == b"451 4.3.0 Temporary failure, try again later\r\n"
    assert step.answered == (Answered("RCPT", 451),)
    assert isinstance(step.effect, Resolve)


def test_an_outcome_without_its_effect_is_a_defect() -> None:
    session = LmtpSession(TERMS)
    for outcome in (session.stored, session.abandoned, session.tls_started, session.begun):
        with pytest.raises(RuntimeError):
            outcome()
    session.receive(ENVELOPE)
    session.advance()
    session.resolved(recipient("u@d.example"))
    with pytest.raises(RuntimeError):
        session.delivered([])


def test_one_outcome_a_recipient_is_demanded() -> None:
    session = LmtpSession(TERMS)
    session.receive(ENVELOPE + b"DATA\r\n")
    session.advance()
    session.resolved(recipient("u@d.example"))
    assert isinstance(session.advance().effect, Begin)
    session.begun()
    session.receive(b".\r\n")
    assert isinstance(session.advance().effect, Deliver)
    with pytest.raises(ValueError, match="one outcome"):
        session.delivered([None, None])


def test_a_refused_beginning_answers_data_and_ends_the_transaction() -> None:
    world = World(refuse_begin=Reason.OVERLOADED)
    assert codes(world.play(ENVELOPE + b"DATA\r\nDATA\r\n"))[4:] == [451, 503]


def test_starttls_is_listed_and_accepted_only_where_it_may_be() -> None:
    assert codes(greeted().play(b"STARTTLS\r\n")) == [502]
    world = World(LmtpSession(Terms("mx.example", starttls=True)))
    assert b"250 STARTTLS\r\n" in world.play(b"LHLO x\r\n")
    assert codes(world.play(b"MAIL FROM:<>\r\nSTARTTLS\r\nRSET\r\nSTARTTLS\r\n")) == [250, 503, 250, 220]
    assert b"STARTTLS" not in world.play(b"LHLO x\r\n")
    assert codes(world.play(b"STARTTLS\r\n")) == [503]
    world.play(b"MAIL FROM:<>\r\nRCPT TO:<u@d.example>\r\nDATA\r\n.\r\n")
    assert world.delivered[0][0].keyword == "LMTPS"


def test_nothing_received_before_starttls_survives_it() -> None:
    session = LmtpSession(Terms("mx.example", starttls=True))
    session.receive(b"LHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@x.example>\r\nRC")
    assert isinstance(session.advance().effect, StartTls)
    assert session.buffered == 0
    session.receive(b"MAIL FROM:<>\r\n")
    assert session.advance().output == b""
    session.tls_started()
    session.receive(b"LHLO x\r\n")
    assert codes(session.advance().output) == [503, 250]


def test_nothing_after_quit_is_read() -> None:
    world = greeted()
    assert codes(world.play(b"QUIT\r\nNOOP\r\n", b"NOOP\r\n")) == [221]
    assert isinstance(world.effects[-1], Close)


def test_a_drain_says_goodbye_between_transactions() -> None:
    world = greeted()
    world.session.drain()
    assert world.play() == b"421 4.3.2 Service shutting down, try again\r\n"
    assert world.closed


def test_a_drain_lets_the_transaction_in_the_middle_finish() -> None:
    world = World()
    world.play(ENVELOPE)
    assert not world.session.between_transactions
    world.session.drain()
    assert codes(world.play(b"DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n")) == [354, 250, 421]
    assert len(world.delivered) == 1
    assert world.closed
