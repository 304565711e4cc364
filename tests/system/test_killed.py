"""Front ends that die or are told to end in the middle of a session: nothing is removed that wasn't asked for. F1.

G1, G2, G6 and G8: the maildrop is free again within the lease, and every message is there octet for octet.
RFC 1939 §6: "If a session terminates for some reason other than a client-issued QUIT command, the POP3 session does
NOT enter the UPDATE state and MUST not remove any messages from the maildrop."
"""

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import await_true
from tests.system.clients.letters import ATTACHMENT, LONE_DOTS, PLAIN, Handed
from tests.system.clients.maildrop import Maildrop, Wire
from tests.system.front_end import FrontEnd, front_end

# More than the sockets between the two ends ever hold.
BIG = Handed("big", ATTACHMENT.text * 3, ATTACHMENT.text * 3)
SHORT_LEASE = {"lease_seconds": 3.0, "renew_every": 1.0}


def begun(maildrop: Maildrop, front: FrontEnd) -> Wire:
    """A session at `front` that marked message 1 and has read some of message 3."""
    wire, answer = maildrop.log_in(front.place())
    assert answer.startswith(b"+OK"), answer
    assert wire.say(b"DELE 1").startswith(b"+OK")
    assert wire.say(b"RETR 3").startswith(b"+OK")
    assert wire.line().startswith(b"Delivered-To: ")
    return wire


@pytest.mark.parametrize("moment", ["in the middle of RETR", "before QUIT"])
def test_a_killed_front_end_removes_nothing_and_frees_the_maildrop(
    maildrop: Maildrop, tmp_path: Path, moment: str
) -> None:
    messages = maildrop.fill([PLAIN, LONE_DOTS, BIG])
    with front_end(maildrop.demo, tmp_path / "front", redis=SHORT_LEASE) as front:
        wire = begun(maildrop, front)
        if moment == "before QUIT":
            wire.multi_line()
            assert wire.say(b"DELE 3").startswith(b"+OK")
        assert not maildrop.is_free
        front.command.end(signal.SIGKILL)
        assert not wire.ends_with_a_dot()
        # The lease is short for the test's sake; the patience is G6's thirty seconds and more for a slow machine.
        await_true(lambda: maildrop.is_free, "the maildrop to be free")
        wire.close()
    assert maildrop.messages == messages


def test_a_terminated_front_end_finishes_a_retrieval_and_the_quit_after_it(maildrop: Maildrop, tmp_path: Path) -> None:
    messages = maildrop.fill([PLAIN, LONE_DOTS, BIG])
    with front_end(maildrop.demo, tmp_path / "front", drain={"grace": 60.0}) as front:
        wire = begun(maildrop, front)
        front.command.process.send_signal(signal.SIGTERM)
        front.command.await_said('"event":"draining"')
        assert messages[2].endswith(wire.multi_line())
        assert wire.say(b"QUIT") == b"+OK Bye, 1 message removed\r\n"
        assert wire.line() == b""
        assert front.command.process.wait(60) == 0
    assert maildrop.messages == messages[1:]


def test_a_terminated_front_end_ends_who_stays_without_update_and_frees_the_maildrop(
    maildrop: Maildrop, tmp_path: Path
) -> None:
    messages = maildrop.fill([PLAIN, LONE_DOTS, BIG])
    with front_end(maildrop.demo, tmp_path / "front", drain={"grace": 0.2}) as front:
        wire = begun(maildrop, front)
        wire.multi_line()
        assert front.command.end(signal.SIGTERM) == 0
        last = wire.line()
        assert last == b"" or last.startswith(b"-ERR [SYS/TEMP] ")
        wire.close()
        assert maildrop.is_free
    assert maildrop.messages == messages
