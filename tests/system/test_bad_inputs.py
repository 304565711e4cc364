"""The bad inputs against the real program: its processes, its sockets, its Postgres. By their ids.

The rows that a session alone decides are in tests/protocol/pop3/test_bad_inputs.py; here they are sent to a front end
over TLS. RFC 1939 §3, RFC 2449 §4, RFC 3206 §6, RFC 5034 §4, RFC 8314 §3.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.backends.demo import RunningDemo
from tests.cli.conftest import await_true
from tests.protocol.pop3.test_bad_inputs import BEFORE_LOGIN, IN_CLEAR, IN_TRANSACTION
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop, trusting
from tests.system.front_end import IMPLICIT, STARTTLS, TERMINATED, FrontEnd, front_end

PASSWORD = "right pass"


@pytest.fixture(scope="module")
def front(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that answers wrong passwords at once."""
    folder = tmp_path_factory.mktemp("front")
    with front_end(demo, folder, (IMPLICIT, STARTTLS, TERMINATED), pop3={"failure_delay": 0.0}) as started:
        yield started


@pytest.fixture(scope="module")
def known(demo: RunningDemo) -> Maildrop:
    """A maildrop with three messages that stay."""
    maildrop = new_maildrop(demo, PASSWORD)
    maildrop.fill([PLAIN] * 3)
    return maildrop


@pytest.fixture(scope="module")
def session(front: FrontEnd, known: Maildrop) -> Iterator[Wire]:
    """One session in TRANSACTION that all rows share: none of them may end it."""
    with known.session(front.place()) as wire:
        yield wire


def check(wire: Wire, sent: bytes, expected: list[str]) -> None:
    wire.sock.sendall(sent)
    for start in expected:
        assert wire.line().decode().startswith(start)


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IN_TRANSACTION])
def test_a_bad_input_in_transaction_gets_its_answer(session: Wire, sent: bytes, expected: list[str]) -> None:
    check(session, sent, expected)
    assert session.say(b"RSET") == b"+OK\r\n"
    assert session.say(b"STAT").startswith(b"+OK 3 ")


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in BEFORE_LOGIN])
def test_a_bad_input_before_login_gets_its_answer(
    demo: RunningDemo, front: FrontEnd, sent: bytes, expected: list[str]
) -> None:
    with closing(dialled(front.place(), trusting(demo))) as wire:
        check(wire, sent, expected)


@pytest.mark.parametrize(("sent", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IN_CLEAR])
def test_a_bad_input_in_clear_gets_its_answer(front: FrontEnd, sent: bytes, expected: list[str]) -> None:
    with closing(dialled(front.place("clear"))) as wire:
        check(wire, sent, expected)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["A19", "A20"]
)
def test_another_protocol_is_closed_without_a_word(front: FrontEnd, sent: bytes) -> None:
    with closing(dialled(front.place("clear"))) as wire:
        assert wire.say(sent) == b""


def test_b22_a_malformed_quit_and_a_cut_remove_nothing(front: FrontEnd, maildrop: Maildrop) -> None:
    messages = maildrop.fill([PLAIN] * 3)
    wire, _ = maildrop.log_in(front.place("terminated"), private=False)
    assert wire.say(b"DELE 1") == b"+OK\r\n"
    assert wire.say(b"QUIT now").startswith(b"-ERR Syntax error")
    wire.close()
    await_true(lambda: maildrop.is_free, "the maildrop to be free")
    assert maildrop.messages == messages
