"""Clients that don't read, reset, fall silent or flood, at a real front end: A17, A22, D32, D34. G15.

RFC 1939 §3 (autologout), RFC 3206 §4 (SYS/TEMP), design's rule that an overloaded process sheds load.
"""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.backends.demo import Place
from tests.cli.conftest import await_true
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Maildrop, Wire, dialled
from tests.system.front_end import TERMINATED, FrontEnd, front_end

MEBIBYTE = 1024 * 1024
LONGER = b"Subject: x\r\n\r\n" + b"line\r\n" * 20_000


def resident(front: FrontEnd) -> int:
    """Octets of memory that the front end holds now."""
    status = Path(f"/proc/{front.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


@contextmanager
def unread(front: FrontEnd, maildrop: Maildrop) -> Iterator[Wire]:
    """A client that asks for a message again and again and never reads, once the server has stopped reading too."""
    wire, answer = maildrop.log_in(front.place("terminated"), private=False)
    assert answer.startswith(b"+OK"), answer
    wire.sock.settimeout(1.0)
    with suppress(TimeoutError):
        while True:
            wire.sock.sendall(b"RETR 1\r\n" * 2000)
    yield wire
    wire.close()


def test_a17_a_client_that_never_reads_costs_a_mebibyte_at_most_and_is_closed(
    maildrop: Maildrop, tmp_path: Path
) -> None:
    maildrop.fill([Handed("longer", LONGER, LONGER)])
    with front_end(maildrop.demo, tmp_path / "front", (TERMINATED,), deadlines={"stall": 5.0}) as front:
        # What the first such client needs stays with the process.
        with unread(front, maildrop):
            front.command.await_said('"end": "stalled"')
        before = resident(front)
        with unread(front, maildrop):
            assert resident(front) - before <= MEBIBYTE
            front.command.await_said('"end": "stalled"', times=2)
    assert maildrop.stat[0] == 1


def test_a22_octets_without_a_line_end_do_not_keep_a_session(maildrop: Maildrop, tmp_path: Path) -> None:
    deadlines = {"autologout": 2.0, "short_autologout": True}
    with front_end(maildrop.demo, tmp_path / "front", (TERMINATED,), deadlines=deadlines) as front:
        wire = dialled(front.place("terminated"))
        wire.sock.settimeout(0.2)
        said = None
        for _ in range(300):
            try:
                wire.sock.sendall(b"x")
                said = wire.sock.recv(100)
                break
            except TimeoutError:
                continue
            except ConnectionError:
                said = b""
                break
        wire.close()
    assert said == b""


def reset_in_the_middle_of_auth(place: Place) -> None:
    wire = dialled(place)
    assert wire.say(b"AUTH PLAIN") == b"+ \r\n"
    # A linger of 0 seconds makes the close a reset.
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.close()


def test_d32_ten_thousand_resets_in_the_middle_of_auth_leave_no_memory_behind(
    maildrop: Maildrop, tmp_path: Path
) -> None:
    with front_end(maildrop.demo, tmp_path / "front", (TERMINATED,)) as front:
        place = front.place("terminated")
        for _ in range(1000):
            reset_in_the_middle_of_auth(place)
        before = resident(front)
        for _ in range(10_000):
            reset_in_the_middle_of_auth(place)
        assert resident(front) - before <= MEBIBYTE
        wire, answer = maildrop.log_in(place, private=False)
        assert answer.startswith(b"+OK")
        wire.close()


def wrong_login(place: Place) -> bytes:
    with closing(dialled(place)) as wire:
        wire.say(b"USER nobody@nowhere.example")
        return wire.say(b"PASS wrong")


def test_d34_the_right_password_is_never_called_wrong_while_a_flood_fills_the_queue(
    maildrop: Maildrop, tmp_path: Path
) -> None:
    hashing = {"threads": 1, "queue": 2}
    answers: list[bytes] = []
    with (
        front_end(
            maildrop.demo, tmp_path / "front", (TERMINATED,), hashing=hashing, pop3={"failure_delay": 0.0}
        ) as front,
        ThreadPoolExecutor(16) as crowd,
    ):
        place = front.place("terminated")
        flood = [crowd.submit(wrong_login, place) for _ in range(300)]
        while not all(each.done() for each in flood):
            wire, answer = maildrop.log_in(place, private=False)
            answers.append(answer)
            wire.close()
        refused = [each.result() for each in flood]
        await_true(lambda: logs_in(maildrop, place), "the login after the flood")
    assert any(answer.startswith(b"-ERR [SYS/TEMP] ") for answer in refused)
    assert all(answer.startswith((b"-ERR [SYS/TEMP] ", b"-ERR [AUTH] ")) for answer in refused)
    # The maildrop may still be held by the session before, which was cut.
    assert answers
    assert all(answer.startswith((b"+OK", b"-ERR [SYS/TEMP] ", b"-ERR [IN-USE] ")) for answer in answers)


def logs_in(maildrop: Maildrop, place: Place) -> bool:
    wire, answer = maildrop.log_in(place, private=False)
    wire.close()
    return answer.startswith(b"+OK")
