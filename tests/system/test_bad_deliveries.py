"""Bad inputs to the real LMTP listener, and what is in the maildrop afterwards: G02 to G12. G18.

RFC 5321 §4.1.1.4 (only CRLF.CRLF ends the data), RFC 2033 §4.1 and §4.2, RFC 1870 §6.1, RFC 3463 §3.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.protocol.lmtp.test_data import EVIL
from tests.system.clients.letters import PLAIN, Handed
from tests.system.clients.maildrop import Maildrop, Wire, answered, dialled, hand_in
from tests.system.front_end import LMTP, front_end


@pytest.fixture
def wire(demo: RunningDemo) -> Iterator[Wire]:
    """A connection to the demo's LMTP listener that said LHLO."""
    with closing(dialled(demo.place("lmtp"))) as wire:
        answered(wire, b"LHLO sender.example", b"250")
        yield wire


def begin(wire: Wire, *maildrops: Maildrop) -> None:
    """Everything up to DATA's 354."""
    answered(wire, b"MAIL FROM:<ada@example.org> SMTPUTF8", b"250")
    for maildrop in maildrops:
        answered(wire, f"RCPT TO:<{maildrop.account.address}>".encode(), b"250")
    answered(wire, b"DATA", b"354")


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        pytest.param(b"\n.\r\n", b"\r\n.\r\n", id="G02"),
        pytest.param(b"\r.\r\n", b"\r.\r\n", id="G03"),
        pytest.param(b"\r\n.\r", b"\r\n\r", id="G05"),
        pytest.param(b"\n.\n", b"\r\n.\r\n", id="G02 twice"),
        pytest.param(b"\r\n.\n", b"\r\n\r\n", id="G05 LF"),
    ],
)
def test_no_message_is_smuggled_in_another(wire: Wire, maildrop: Maildrop, end: bytes, kept: bytes) -> None:
    begin(wire, maildrop)
    answered(wire, b"Subject: x\r\n\r\nbody" + end + EVIL, b"250 2.0.0", end=b"")
    assert wire.say(b"NOOP").startswith(b"250")
    (message,) = maildrop.messages
    assert message.endswith(b"Subject: x\r\n\r\nbody" + kept + EVIL.removesuffix(b".\r\n"))


def test_g06_an_empty_local_part_is_no_recipient(wire: Wire) -> None:
    answered(wire, b"MAIL FROM:<>", b"250")
    answered(wire, b'RCPT TO:<""@d.example>', b"550 5.1.1")


@pytest.mark.parametrize("line", [b"EHLO x", b"HELO x"])
def test_g08_only_lhlo_is_understood(demo: RunningDemo, line: bytes) -> None:
    with closing(dialled(demo.place("lmtp"))) as wire:
        answered(wire, line, b"500 5.5.1")


def test_g09_a_text_that_was_cut_off_is_not_delivered(wire: Wire, maildrop: Maildrop, demo: RunningDemo) -> None:
    begin(wire, maildrop)
    wire.sock.sendall(b"Subject: cut\r\n\r\nbody\r\n.\r")
    wire.close()
    (message,) = maildrop.fill([PLAIN])
    assert message.endswith(PLAIN.stored)


def test_g11_a_text_over_the_limit_is_refused_for_each_recipient(maildrop: Maildrop, tmp_path: Path) -> None:
    with front_end(maildrop.demo, tmp_path / "lmtp", (LMTP,), limits={"message_octets": 5000}) as listener:
        wire = dialled(listener.place("lmtp"))
        answered(wire, b"LHLO sender.example", b"250")
        begin(wire, maildrop, maildrop)
        wire.sock.sendall(b"x" * 998 + b"\r\n" + b"y" * 5000 + b"\r\n.\r\n")
        assert [wire.line()[:9] for _ in range(2)] == [b"552 5.3.4"] * 2
        hand_in(wire, maildrop.account.address, PLAIN)
        wire.close()
    (message,) = maildrop.messages
    assert message.endswith(PLAIN.stored)


@pytest.mark.parametrize("name", ["many lines", "one long line"])
def test_g12_a_huge_header_is_delivered_and_its_top_is_the_header_alone(maildrop: Maildrop, name: str) -> None:
    header = b"X: y\r\n" * 500_000 if name == "many lines" else b"X: " + b"y" * 10_000_000 + b"\r\n"
    text = header + b"\r\nbody\r\n"
    (message,) = maildrop.fill([Handed(name, text, text)])
    with maildrop.session() as session:
        assert session.say(b"TOP 1 0").startswith(b"+OK")
        assert session.multi_line() == message.removesuffix(b"body\r\n")
