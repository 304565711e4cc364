"""The LMTP session: pipelining, pauses, lines, TLS and the drain.

RFC 2033 §4, RFC 2920 §3.2, RFC 3207 §4.2, RFC 5321 §2.3.8, §3.8 and §4.5.3.1.4.
"""

import pytest

from service.model.refusal import Reason, Refusal
from service.protocol.lmtp.effects import Answered, Begin, Close, Deliver, Resolve, StartTls
from service.protocol.lmtp.session import ENDLESS_OCTETS, STEPS_BOUND, LmtpSession
from service.protocol.lmtp.state import Terms
from tests.protocol.lmtp.world import ENVELOPE, TERMS, World, codes, greeted, recipient


def test_the_greeting_comes_first() -> None:
    assert World().play() == b"220 mx.example LMTP Poplar\r\n"


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


def test_a_bare_lf_ends_no_command() -> None:
    assert codes(greeted().play(b"NOOP\nQUIT\r\n")) == [500]


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


def test_g16_however_many_commands_are_pipelined_others_are_heard_between_them() -> None:
    session = LmtpSession(TERMS)
    session.receive(b"LHLO x\r\n" + b"NOOP\r\n" * 2 * STEPS_BOUND)
    steps = [session.advance() for _ in range(3)]
    assert [len(step.answered) for step in steps] == [STEPS_BOUND, STEPS_BOUND, 1]
    assert [step.more for step in steps] == [True, True, False]
    assert all(step.effect is None for step in steps)


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


@pytest.mark.parametrize("piece", [1000, 65_536, 200_000])
def test_g15_an_endless_line_ends_the_connection_and_is_never_held(piece: int) -> None:
    """RFC 5321 §4.5.3.1.4: a command line has an end; a sender that sends none would be read from for ever."""
    endless = b"NOOP " * 40_000 + b"\r\nNOOP\r\n"
    world = greeted()
    assert codes(world.play(*(endless[at : at + piece] for at in range(0, len(endless), piece)))) == [500]
    assert world.closed
    assert world.widest <= 2048 + piece


def test_an_overlong_line_that_ends_in_time_ends_nothing() -> None:
    world = greeted()
    assert codes(world.play(b"x" * ENDLESS_OCTETS + b"\r", b"\nNOOP\r\n")) == [500, 250]
    assert not world.closed


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


@pytest.mark.parametrize(
    "request_", [b"POST / HTTP/1.1\r\nHost: mx.example\r\n\r\n", b"GET / HTTP/1.0\r\n", b"CONNECT a:24 HTTP/1.1\r\n"]
)
def test_a_request_of_http_gives_no_orders(request_: bytes) -> None:
    world = greeted()
    assert world.play(request_ + ENVELOPE + b"DATA\r\nforged\r\n.\r\n", ENVELOPE) == b""
    assert world.closed
    assert world.delivered == []


def test_a_hello_of_tls_in_clear_ends_the_connection() -> None:
    world = greeted()
    assert world.play(b"\x16\x03", b"\x01\x02\x00\x01\x00") == b""
    assert world.closed


@pytest.mark.parametrize("octets", [b"x" * 2100, b""])
def test_a_hello_of_tls_ends_the_connection_however_it_is_cut(octets: bytes) -> None:
    hello = b"\x16\x03\x01" + octets + b"\r\nNOOP\r\n"
    whole, cut = greeted(), greeted()
    assert whole.play(hello) == cut.play(*(bytes([octet]) for octet in hello)) == b""
    assert whole.closed
    assert cut.closed


def test_text_may_look_like_another_protocol() -> None:
    world = World()
    assert codes(world.play(ENVELOPE + b"DATA\r\nGET / HTTP/1.1\r\n\x16\x03\r\n.\r\n"))[-1] == 250
    assert world.delivered


def test_a_drain_says_goodbye_between_transactions() -> None:
    world = greeted()
    world.session.drain()
    assert world.play() == b"421 4.3.2 Service shutting down, try again\r\n"
    assert world.closed


def test_a_drain_lets_the_transaction_in_the_middle_finish() -> None:
    world = World()
    world.play(ENVELOPE)
    world.session.drain()
    assert codes(world.play(b"DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n")) == [354, 250, 421]
    assert len(world.delivered) == 1
    assert world.closed
