"""A maildrop of 1,000,000 messages as clients use it: seconds, the front end's memory, and another client's waits.

Owns the steps and what must hold in each, whatever the number of messages. Refuses to say which figure is good.
G3, G9, G15. RFC 1939 §4 to §7.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.backends.demo import Account, Place, RunningDemo
from tests.overload.held import MEBIBYTE, peak, resident
from tests.overload.million_rows import TEXT
from tests.overload.waits import Span, Waits, beside
from tests.system.clients.maildrop import Wire, dialled
from tests.system.front_end import FrontEnd

PIPELINED = 20_000
LONG = 1200.0
UNREAD_SECONDS = 1.0


@dataclass
class Step:
    """What one step took; memory in MiB."""

    name: str
    when: Span
    before: float
    most: float
    after: float
    waits: Waits | None = None

    def __str__(self) -> str:
        waits = f"  NOOP p99 {self.waits.p99:7.1f} ms, max {self.waits.most:7.1f} ms" if self.waits else ""
        memory = f"RSS {self.before:6.1f} -> {self.after:6.1f}, peak +{self.most - self.before:6.1f} MiB"
        return f"{self.name:34} {self.when[1] - self.when[0]:8.3f} s  {memory}{waits}"


@dataclass
class Run:
    """Steps against one front end; `account` has `messages` messages, and `other` is who says NOOP."""

    demo: RunningDemo
    front: FrontEnd
    account: Account
    messages: int
    other: Account
    steps: list[Step] = field(default_factory=list)
    told: Callable[[str], object] = lambda _: None
    """Hears of each step as it ends; what NOOP waited is known in the end alone."""

    @property
    def place(self) -> Place:
        """Where the front end answers."""
        return self.front.place("terminated")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what is done within the block."""
        pid, began = self.front.pid, time.monotonic()
        with peak(pid) as seen:
            yield
        when = began, time.monotonic()
        self.steps.append(Step(name, when, seen.begun, seen.most, resident(pid) / MEBIBYTE))
        self.told(str(self.steps[-1]))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have another client say NOOP all the while."""
        first, where = len(self.steps), (self.place.host, str(self.place.port))
        watching = beside("tests.overload.million_beside", *where, self.other.address, self.other.password)
        with watching as other:
            yield
        for step in self.steps[first:]:
            step.waits = other.within(step.when)

    def session(self) -> Wire:
        """A session in TRANSACTION."""
        return logged_in(self.place, self.account)


def logged_in(place: Place, account: Account) -> Wire:
    """A session in TRANSACTION."""
    wire = dialled(place)
    wire.sock.settimeout(LONG)
    assert wire.say(b"USER " + account.address.encode()).startswith(b"+OK")
    answer = wire.say(b"PASS " + account.password.encode())
    assert answer.startswith(b"+OK"), answer
    return wire


def lines_of(wire: Wire, command: bytes) -> int:
    """How many lines the multi-line response to `command` has; it must not be cut."""
    assert wire.say(command).startswith(b"+OK")
    lines = 0
    while (line := wire.line()) != b".\r\n":
        assert line.endswith(b"\r\n"), "the response was cut"
        lines += 1
    return lines


def pipelined(wire: Wire, commands: Iterator[bytes], count: int) -> None:
    """Send all of these without waiting; each must be answered with +OK."""

    def send() -> None:
        batch = []
        for command in commands:
            batch.append(command)
            if len(batch) == PIPELINED:
                wire.sock.sendall(b"".join(batch))
                batch.clear()
        wire.sock.sendall(b"".join(batch))

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(count):
        answer = wire.line()
        assert answer.startswith(b"+OK"), answer
    sender.join()


def retrieved(wire: Wire, number: int) -> None:
    """RETR must give the text that was stored."""
    assert wire.say(b"RETR %d" % number).startswith(b"+OK")
    assert wire.multi_line() == TEXT


def unread(run: Run, wire: Wire) -> None:
    """Ask for UIDL, read nothing of it for a while, then all of it."""
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    wire.sock.sendall(b"UIDL\r\n")
    time.sleep(UNREAD_SECONDS)
    assert wire.line().startswith(b"+OK")
    assert sum(1 for _ in iter(wire.line, b".\r\n")) == run.messages


def reading(run: Run) -> None:
    """Everything that a client may ask without removing anything."""
    n = run.messages
    with run.step("login"):
        wire = run.session()
    with closing(wire):
        with run.step("STAT"):
            assert wire.say(b"STAT") == b"+OK %d %d\r\n" % (n, n * len(TEXT))
        with run.step("LIST 1, which loads the listing"):
            assert wire.say(b"LIST 1").startswith(b"+OK 1 ")
        steps: list[tuple[str, Callable[[], object]]] = [
            ("LIST", lambda: lines_of(wire, b"LIST")),
            ("UIDL", lambda: lines_of(wire, b"UIDL")),
            (f"UIDL {n}", lambda: wire.say(b"UIDL %d" % n)),
            ("RETR 1", lambda: retrieved(wire, 1)),
            (f"RETR {n}", lambda: retrieved(wire, n)),
            (f"TOP {n} 0", lambda: lines_of(wire, b"TOP %d 0" % n)),
            ("DELE of all, pipelined", lambda: pipelined(wire, (b"DELE %d\r\n" % i for i in range(1, n + 1)), n)),
            ("RSET", lambda: wire.say(b"RSET")),
            ("UIDL, not read for a second", lambda: unread(run, wire)),
        ]
        for name, act in steps:
            with run.step(name):
                act()
        with run.step("QUIT, nothing marked"):
            assert wire.say(b"QUIT").startswith(b"+OK")
            assert wire.line() == b""


def coming_back(run: Run, deliver: Callable[[], object]) -> None:
    """A client that leaves its mail on the server asks for UIDL, and finds what came since."""
    deliver()
    run.messages += 1
    with run.step("login, UIDL, QUIT after a new message"), closing(run.session()) as wire:
        assert lines_of(wire, b"UIDL") == run.messages
        assert wire.say(b"QUIT").startswith(b"+OK")


def removing(run: Run) -> None:
    """Remove one, then all that are left."""
    with closing(run.session()) as wire, run.step("DELE 1, QUIT"):
        assert wire.say(b"DELE 1").startswith(b"+OK")
        assert wire.say(b"QUIT").startswith(b"+OK")
    run.messages -= 1
    with closing(run.session()) as wire:
        with run.step("DELE of all, pipelined"):
            pipelined(wire, (b"DELE %d\r\n" % i for i in range(1, run.messages + 1)), run.messages)
        with run.step("QUIT, all marked"):
            answer = wire.say(b"QUIT")
            assert answer.startswith(b"+OK"), answer
    run.messages = 0
    with run.step("login after it"), closing(run.session()) as wire:
        assert wire.say(b"STAT") == b"+OK 0 0\r\n"
