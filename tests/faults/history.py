"""Clients that note what they were told, and the judgement of what they noted.

Owns the history of one maildrop: what was delivered, listed, retrieved and removed by which session, as its clients
heard it. Refuses to know what went wrong meanwhile: whatever did, the notes must fit together. G1-G4, G7-G9, G14, G18.
"""

import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.backends.demo import Place
from tests.cli.conftest import await_true
from tests.faults.site import Site
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Wire, answered, hand_in

IDENTITY = re.compile(rb"^Message-ID: <(\d+)@history>\r$", re.MULTILINE)
NONE_REMOVED = (b"no message was removed", b"service unavailable")
MAY_BE_REFUSED = (b"-ERR [SYS/TEMP] ", b"-ERR [IN-USE] ")


@dataclass
class History:
    """What the clients were told; `faults` are words that no client may ever hear, or a listing that can't be."""

    sent: int = 0
    stored: set[int] = field(default_factory=set)
    """Texts answered 250."""
    doubtful: set[int] = field(default_factory=set)
    """Texts with some answer lost or 4xx, so that more than one message may come of them."""
    texts: dict[bytes, int] = field(default_factory=dict)
    """unique-id -> the text that was retrieved under it."""
    octets: dict[bytes, int] = field(default_factory=dict)
    removed: Counter[bytes] = field(default_factory=Counter)
    """unique-ids, by how many sessions were told +OK for removing them."""
    unknown: list[frozenset[bytes]] = field(default_factory=list)
    """What sessions marked whose QUIT got no answer, or that its outcome is unknown."""
    kept: set[bytes] = field(default_factory=set)
    """What sessions marked that were told that nothing was removed, or said no QUIT."""
    sessions: int = 0
    faults: list[str] = field(default_factory=list)

    def verdict(self, listed: list[bytes]) -> list[str]:
        """What doesn't fit, given the unique-ids that are listed in the end."""
        left, maybe = set(listed), frozenset[bytes]().union(*self.unknown)
        delivered = Counter(self.texts[each] for each in self.texts)
        wrong = [f"{each!r} was removed by {count} sessions" for each, count in self.removed.items() if count > 1]
        wrong += [f"{each!r} was removed and is listed" for each in left & set(self.removed)]
        wrong += [f"{each!r} is gone" for each in set(self.texts) - left - set(self.removed) - maybe]
        wrong += [f"{each!r} was kept and is gone" for each in self.kept - left - set(self.removed) - maybe]
        wrong += [f"text {each} was stored and never seen" for each in self.stored - set(delivered)]
        wrong += [f"text {each} came twice" for each, n in delivered.items() if n > 1 and each not in self.doubtful]
        for marked in self.unknown:
            rest = marked - set(self.removed) - frozenset[bytes]().union(*(m for m in self.unknown if m is not marked))
            if rest & left and rest - left:
                wrong.append(f"of {marked!r} some are gone and some are listed")
        return self.faults + wrong


@dataclass
class Clients:
    """Senders and readers of one maildrop, each in a thread."""

    site: Site
    history: History = field(default_factory=History)
    seed: int = 1939
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def at_work(self, readers: int, senders: int) -> Iterator[None]:
        """So many of each, until the block ends; then each comes to the end of what it is doing."""
        works: list[Callable[[random.Random], None]] = [*[self.read] * readers, *[self.send] * senders]
        threads = [
            threading.Thread(target=self._again_and_again, args=(work, random.Random(self.seed + number)))
            for number, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def await_sessions(self, count: int) -> None:
        """Return once so many sessions were opened, or a client heard what none may."""
        await_true(lambda: self.history.sessions >= count or self.history.faults, f"{count} sessions")

    def verdict(self, at: str) -> list[str]:
        """What doesn't fit, once a last session has read everything that is left."""
        wire = self.site.session_once_free(at)
        unique_ids = self._listed(wire, set(self.history.removed))
        for number, unique_id in enumerate(unique_ids, 1):
            self._retrieve(wire, number, unique_id)
        return self.history.verdict(unique_ids)

    def _again_and_again(self, work: Callable[[random.Random], None], dice: random.Random) -> None:
        while not self.stop.is_set():
            try:
                work(dice)
            except (OSError, ConnectionLost):
                self.stop.wait(0.05)
            except Exception as error:
                self.history.faults.append(repr(error))

    def send(self, dice: random.Random) -> None:
        """Deliver a text, again and again until it is answered 250."""
        with self._lock:
            self.history.sent += 1
            number = self.history.sent
        body = dice.randbytes(dice.choice([100, 5_000])).hex().encode()
        letter = Handed("", b"Message-ID: <%d@history>\r\n\r\n%s\r\n" % (number, body), b"")
        while not self.stop.is_set():
            try:
                wire = greeted(self.site.place("lmtp", "lmtp"))
                try:
                    answered(wire, b"LHLO clients.example", b"250")
                    hand_in(wire, self.site.address, letter)
                finally:
                    wire.close()
            except (OSError, ConnectionLost, AssertionError) as error:
                if isinstance(error, AssertionError) and not re.match(r"b''|b'4", str(error)):
                    self.history.faults.append(f"LMTP: {error}")
                self.history.doubtful.add(number)
                self.stop.wait(0.05)
            else:
                self.history.stored.add(number)
                self.stop.wait(0.1)
                return

    def read(self, dice: random.Random) -> None:
        """One session at either front end."""
        removed = set(self.history.removed)
        wire = greeted(self.site.place(dice.choice("ab"), "pop3"))
        try:
            wire.sock.sendall(self.site.login)
            heard(wire)
            answer = heard(wire)
            if answer.startswith(b"+OK"):
                self.history.sessions += 1
                self._session(wire, dice, removed)
            elif not answer.startswith(MAY_BE_REFUSED):
                self.history.faults.append(f"login: {answer!r}")
        finally:
            wire.close()

    def _session(self, wire: Wire, dice: random.Random, removed: Set[bytes]) -> None:
        unique_ids = self._listed(wire, removed)
        if not unique_ids:
            return
        marked = dice.sample(unique_ids, min(len(unique_ids), dice.choice([1, 2, 5])))
        for each in dice.sample(unique_ids, min(len(unique_ids), 4)) + marked:
            self._retrieve(wire, unique_ids.index(each) + 1, each)
        for each in marked:
            if asked(wire, b"DELE %d" % (unique_ids.index(each) + 1)) != b"+OK\r\n":
                return
        if dice.random() < 0.2:
            self.history.kept |= set(marked)
        else:
            self._quit(wire, marked)

    def _listed(self, wire: Wire, removed: Set[bytes]) -> list[bytes]:
        """The unique-ids, once LIST, UIDL and STAT were found to agree; none where the service is unavailable."""
        columns = []
        for command in (b"STAT", b"LIST", b"UIDL"):
            answer = asked(wire, command)
            if not answer.startswith(b"+OK"):
                self._may_be_refused(command, answer)
                return []
            lines = [answer.removeprefix(b"+OK")] if command == b"STAT" else lines_of(wire)
            columns.append([line.split() for line in lines])
        messages, octets = map(int, columns[0][0])
        sizes, unique_ids = [int(each[1]) for each in columns[1]], [each[1] for each in columns[2]]
        if (len(sizes), len(unique_ids), sum(sizes)) != (messages, messages, octets):
            self.history.faults.append(f"STAT says {messages} {octets}, LIST {len(sizes)} {sum(sizes)}")
        for each, size in zip(unique_ids, sizes, strict=False):
            if self.history.octets.setdefault(each, size) != size:
                self.history.faults.append(f"{each!r} has {size} octets, and had others")
        gone = set(unique_ids) & removed
        if gone:
            self.history.faults.append(f"{gone!r} were removed and are listed again")
        return unique_ids

    def _retrieve(self, wire: Wire, number: int, unique_id: bytes) -> None:
        answer = asked(wire, b"RETR %d" % number)
        if not answer.startswith(b"+OK"):
            self._may_be_refused(b"RETR", answer)
            return
        text = b"".join(line.removeprefix(b".") for line in lines_of(wire))
        found = IDENTITY.search(text)
        identity = int(found[1]) if found else -1
        if self.history.texts.setdefault(unique_id, identity) != identity or identity < 0:
            self.history.faults.append(f"{unique_id!r} gave text {identity}, and another before")
        if len(text) != self.history.octets[unique_id]:
            self.history.faults.append(f"{unique_id!r} is not of the octets listed")

    def _quit(self, wire: Wire, marked: list[bytes]) -> None:
        try:
            answer = asked(wire, b"QUIT")
        except (OSError, ConnectionLost):
            self.history.unknown.append(frozenset(marked))
            raise
        if answer.startswith(b"+OK Bye, %d " % len(marked)):
            self.history.removed.update(marked)
        elif answer.startswith(b"-ERR [SYS/TEMP] ") and any(words in answer for words in NONE_REMOVED):
            self.history.kept |= set(marked)
        elif answer.startswith(b"-ERR [SYS/TEMP] Outcome unknown"):
            self.history.unknown.append(frozenset(marked))
        else:
            self.history.faults.append(f"QUIT: {answer!r}")

    def _may_be_refused(self, command: bytes, answer: bytes) -> None:
        if not answer.startswith(MAY_BE_REFUSED):
            self.history.faults.append(f"{command!r}: {answer!r}")


class ConnectionLost(Exception):
    pass


def greeted(place: Place) -> Wire:
    """A connection whose greeting was heard. Raises OSError or ConnectionLost where the other end is gone by then."""
    wire = Wire(socket.create_connection((place.host, place.port), timeout=60))
    try:
        assert heard(wire)[:3] in (b"+OK", b"220")
    except BaseException:
        wire.close()
        raise
    return wire


def heard(wire: Wire) -> bytes:
    line = wire.line()
    if not line:
        raise ConnectionLost
    return line


def asked(wire: Wire, command: bytes) -> bytes:
    wire.sock.sendall(command + b"\r\n")
    return heard(wire)


def lines_of(wire: Wire) -> list[bytes]:
    """The lines of a multi-line response, to its dot."""
    lines = []
    while (line := heard(wire)) != b".\r\n":
        lines.append(line)
    return lines
