"""One maildrop: everything in the history that concerns it, gathered for the rules.

Owns what follows from the operations without judging: openings, removers, texts. Refuses to know guarantees, but
for one: a session that another one followed can remove nothing (G4), so its QUIT without an answer removed nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.faults.checking.session import Removal, Session
from tests.faults.operations import Operation


@dataclass(frozen=True)
class Opening:
    """An instant between `login.began` and `login.ended` at which the maildrop held exactly `listed`."""

    login: Operation
    listed: frozenset[str]
    shown: Operation
    session: Session | None = None
    """None: the last look."""

    @property
    def read_only(self) -> bool:
        return self.session is not None and self.session.read_only


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A message that came whole."""

    operation: Operation
    unique_id: str
    text: int | None
    sha256: str
    sent: str | None
    octets: int


@dataclass
class Maildrop:
    """Its operations by what they are; each list is in the order in which they ended."""

    address: str
    sessions: list[Session] = field(default_factory=list)
    logins: list[Operation] = field(default_factory=list)
    """Every login, however it ended."""
    deliveries: list[Operation] = field(default_factory=list)
    staff: list[Operation] = field(default_factory=list)
    finals: list[Operation] = field(default_factory=list)

    @cached_property
    def openings(self) -> Sequence[Opening]:
        """Those whose whole listing is known, by their time, with the last look."""
        found = [Opening(one.login, one.listed, _listing(one), one) for one in self.sessions if one.listed is not None]
        found += [Opening(one, frozenset(one.facts["ids"]), one) for one in self.finals if one.outcome == "ok"]
        return sorted(found, key=lambda one: one.login.ended)

    @cached_property
    def retrieved(self) -> Sequence[Retrieved]:
        """What came whole, by RETR or in the last look."""
        return [*self._by_retr(), *self._by_last_look()]

    @cached_property
    def texts(self) -> dict[str, int]:
        """unique-id -> the text that came under it first."""
        found: dict[str, int] = {}
        for one in self.retrieved:
            if one.text is not None:
                found.setdefault(one.unique_id, one.text)
        return found

    @cached_property
    def copies(self) -> dict[int, set[str]]:
        """text -> the unique-ids under which it came."""
        found: dict[int, set[str]] = defaultdict(set)
        for unique_id, text in self.texts.items():
            found[text].add(unique_id)
        return found

    @cached_property
    def attempts(self) -> dict[int, list[Operation]]:
        """text -> the attempts at delivering it here."""
        found: dict[int, list[Operation]] = defaultdict(list)
        for one in self.deliveries:
            found[one.facts["text"]].append(one)
        return found

    @cached_property
    def removers(self) -> dict[str, list[Session]]:
        """unique-id -> the sessions that removed it, or may have."""
        found: dict[str, list[Session]] = defaultdict(list)
        for one in self.sessions:
            if self.removal(one) != "none":
                for unique_id in one.marked:
                    found[unique_id].append(one)
        return found

    def removal(self, session: Session) -> Removal:
        """What became of its marks: nothing, too, where another session opened the maildrop before its QUIT did it."""
        if session.removal == "either" and self.followed(session) is not None:
            return "none"
        return session.removal

    def followed(self, session: Session) -> Operation | None:
        """The login that surely opened the maildrop after this one did, and surely before its QUIT removed anything."""
        return self._followers.get(session.login.n)

    @cached_property
    def _followers(self) -> dict[int, Operation | None]:
        return {one.login.n: self._follower(one) for one in self.sessions if one.removal != "none"}

    def _follower(self, session: Session) -> Operation | None:
        quit_ = session.quit
        for other in self.sessions:
            if other is not session and not other.read_only and session.login.precedes(other.login):
                before = quit_ is not None and other.login.precedes(quit_)
                if before or (other.listed is not None and other.listed & session.marked):
                    return other.login
        for final in self.finals:
            if final.outcome == "ok" and session.removal == "either" and session.marked & set(final.facts["ids"]):
                return final
        return None

    def _by_retr(self) -> Iterator[Retrieved]:
        for session in self.sessions:
            for one in session.told("retr"):
                facts, unique_id = one.facts, session.ids.get(one.facts["number"])
                if facts.get("whole", True) and unique_id is not None:
                    proof = (facts["sha256"], facts.get("sent"), facts["octets"])
                    yield Retrieved(one, unique_id, facts.get("text"), *proof)

    def _by_last_look(self) -> Iterator[Retrieved]:
        for one in self.finals:
            if one.outcome != "ok":
                continue
            facts, octets = one.facts, dict(zip(one.facts["ids"], one.facts["octets"], strict=True))
            for unique_id, digest in facts["sha256"].items():
                sent = facts.get("sent", {}).get(unique_id)
                yield Retrieved(one, unique_id, facts["text"].get(unique_id), digest, sent, octets[unique_id])


def _listing(session: Session) -> Operation:
    return next(one for one in session.told("uidl") if "number" not in one.facts)


def by_maildrop(history: Iterable[Operation]) -> Sequence[Maildrop]:
    """The maildrops of a history, by their addresses."""
    found: dict[str, Maildrop] = {}
    sessions: dict[tuple[str, str], Session] = {}
    for one in sorted(history, key=lambda each: (each.ended, each.n)):
        if one.maildrop is not None:
            drop = found.setdefault(one.maildrop, Maildrop(one.maildrop))
            _sort_in(drop, one, sessions)
    return [found[address] for address in sorted(found)]


def _sort_in(drop: Maildrop, one: Operation, sessions: dict[tuple[str, str], Session]) -> None:
    key = (drop.address, one.session or "")
    match one.kind:
        case "deliver":
            drop.deliveries.append(one)
        case "final":
            drop.finals.append(one)
        case "password" | "suspend" | "resume" | "kick":
            drop.staff.append(one)
        case "login":
            drop.logins.append(one)
            if one.outcome == "ok":
                sessions[key] = Session(one)
                drop.sessions.append(sessions[key])
        case _ if key in sessions:
            sessions[key].operations.append(one)
