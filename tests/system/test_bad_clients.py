"""Clients that don't read, reset, fall silent or flood, at a real front end: A17, A22, D32, D34. G15.

RFC 1939 §3 (autologout), RFC 3206 §4 (SYS/TEMP), design's rule that an overloaded process sheds load.
"""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from tests.backends.demo import Place, RunningDemo
from tests.cli.conftest import await_true
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop
from tests.system.front_end import TERMINATED, FrontEnd, front_end

MEBIBYTE = 1024 * 1024
LONGER = b"Subject: x\r\n\r\n" + b"line\r\n" * 20_000
FLOOD_OCTETS = 32 * MEBIBYTE
"""More than both kernels' buffers and the server's hold: only a server that reads on takes it."""
CROWD = 16
"""Clients that don't read, all at once: what the allocator keeps or gives back by chance, some hundred KiB of the whole
process, is little in a sixteenth of it. Measured: 560 to 610 KiB each, of which 300 are a response that waits.
"""


def resident(front: FrontEnd) -> int:
    """Octets of memory that the front end holds now."""
    status = Path(f"/proc/{front.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def peak(front: FrontEnd) -> int:
    """The most octets of memory that the front end held at once since it was last asked."""
    process = Path(f"/proc/{front.pid}")
    status = (process / "status").read_text()
    # proc(5): "5 (since Linux 4.0): Reset the peak resident set size ("high water mark") to the process's current
    # resident set size value."
    (process / "clear_refs").write_text("5")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


@contextmanager
def logged_in(front: FrontEnd, maildrops: Sequence[Maildrop]) -> Iterator[list[Wire]]:
    """A session of each maildrop."""
    wires = []
    for maildrop in maildrops:
        wire, answer = maildrop.log_in(front.place("terminated"), private=False)
        wires.append(wire)
        assert answer.startswith(b"+OK"), answer
    yield wires
    for wire in wires:
        wire.close()


def asks_and_never_reads(wire: Wire) -> None:
    """Ask for a message again and again, until the server closes; it must have stopped reading before."""
    asked = b"RETR 1\r\n" * 2000
    with suppress(ConnectionError):
        for _ in range(FLOOD_OCTETS // len(asked)):
            wire.sock.sendall(asked)
        raise AssertionError("the server read on from a client that reads nothing")


def test_a17_clients_that_never_read_cost_a_mebibyte_each_at_most_and_are_closed(
    demo: RunningDemo, tmp_path: Path
) -> None:
    maildrops = [new_maildrop(demo, "secret") for _ in range(CROWD)]
    for each in maildrops:
        each.deliver([Handed("longer", LONGER, LONGER)])
    with (
        front_end(demo, tmp_path / "front", (TERMINATED,), deadlines={"stall": 10.0}) as front,
        ThreadPoolExecutor(CROWD) as crowd,
    ):
        # What sessions that read need stays with the process, and is no cost of those that don't.
        with logged_in(front, maildrops) as wires:
            for wire in wires:
                assert wire.say(b"RETR 1").startswith(b"+OK")
                assert wire.multi_line().endswith(LONGER)
                assert wire.say(b"QUIT").startswith(b"+OK")
        before = resident(front)
        with logged_in(front, maildrops) as wires:
            # What hashing took for a moment is no cost of theirs either.
            peak(front)
            list(crowd.map(asks_and_never_reads, wires))
            front.command.await_said('"end":"stalled"', times=CROWD)
        assert (peak(front) - before) / CROWD <= MEBIBYTE
    assert all(each.stat[0] == 1 for each in maildrops)


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
        held = []
        for resets in (1000, 2500, 2500, 2500, 2500):
            for _ in range(resets):
                reset_in_the_middle_of_auth(place)
            held.append(resident(front))
        # What connections leave behind, they leave in every round; what the allocator takes by chance, it takes once.
        assert min(after - before for before, after in pairwise(held)) * 4 <= MEBIBYTE
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
