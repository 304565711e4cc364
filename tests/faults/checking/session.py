"""One session as its client followed it: what it was shown, what it marked, how it ended.

Owns the arithmetic of numbers and marks over one session's own answers. Refuses to know other sessions.
RFC 1939 §4 (numbers), §5 (DELE, RSET), §6 (UPDATE).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tests.faults.operations import Operation

Removal = Literal["all", "none", "either"]


@dataclass
class Session:
    """A session whose login was answered +OK; `operations` are those after it, in their order."""

    login: Operation
    operations: list[Operation] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.login.session or f"of #{self.login.n}"

    @property
    def read_only(self) -> bool:
        """Whether it was opened from what was kept while Postgres was away: it has no fence and can't remove."""
        return "read-only" in self.login.said

    @property
    def end(self) -> Operation | None:
        """How it ended, where that is known."""
        return next((one for one in self.operations if one.kind in {"quit", "dropped", "closed"}), None)

    @property
    def broken(self) -> Operation | None:
        """The first thing that it asked for without an answer: nobody asks on after that."""
        return next((one for one in self.operations if one.outcome == "unknown"), None)

    @property
    def quit(self) -> Operation | None:
        """Its QUIT, answered or not."""
        return next((one for one in self.operations if one.kind == "quit"), None)

    @property
    def removal(self) -> Removal:
        """What its end may have made of its marks, by what the client was told."""
        # G2: a session in which the server received no QUIT removes nothing.
        if self.quit is None or not self.marked:
            return "none"
        if self.quit.outcome == "ok":
            return "all"
        return "either" if self.quit.outcome == "unknown" or "utcome unknown" in self.quit.said else "none"

    @cached_property
    def steps(self) -> Sequence[tuple[Operation, frozenset[int]]]:
        """Each operation with the numbers that were marked when it was said."""
        found, marked = [], frozenset[int]()
        for one in self.operations:
            found.append((one, marked))
            if one.kind == "dele" and one.outcome != "fail":
                marked |= {int(one.facts["number"])}
            elif one.kind == "rset" and one.outcome == "ok":
                marked = frozenset()
        return found

    @cached_property
    def marked_numbers(self) -> frozenset[int]:
        """What was marked when it said QUIT, or at its end; with a DELE that wasn't answered."""
        before_quit = [marked for one, marked in self.steps if one is self.quit]
        if before_quit:
            return before_quit[0]
        last = self.steps[-1] if self.steps else None
        if last is None:
            return frozenset()
        one, marked = last
        return marked | {int(one.facts["number"])} if one.kind == "dele" and one.outcome != "fail" else marked

    @cached_property
    def ids(self) -> dict[int, str]:
        """The unique-ids by number, as they were told first."""
        found: dict[int, str] = {}
        for one in self.told("uidl"):
            for number, unique_id in one.facts["ids"].items():
                found.setdefault(number, unique_id)
        return found

    @cached_property
    def marked(self) -> frozenset[str]:
        """The unique-ids of what is marked in the end."""
        return frozenset(self.ids[number] for number in self.marked_numbers if number in self.ids)

    @cached_property
    def listed(self) -> frozenset[str] | None:
        """Every unique-id of the maildrop as it was opened; None where UIDL was never told whole."""
        for one, marked in self.steps:
            if one.kind == "uidl" and one.outcome == "ok" and "number" not in one.facts:
                before = {self.ids.get(number) for number in marked}
                if None not in before:
                    return frozenset(one.facts["ids"].values()) | frozenset(filter(None, before))
        return None

    def counts(self) -> Iterator[tuple[Operation, int]]:
        """How many messages the maildrop had as it was opened, by each answer that says so."""
        for one, marked in self.steps:
            if one.outcome != "ok" or "number" in one.facts:
                continue
            if one.kind == "stat":
                yield one, one.facts["count"] + len(marked)
            elif one.kind in {"list", "uidl"}:
                yield one, len(one.facts["octets" if one.kind == "list" else "ids"]) + len(marked)

    def told(self, *kinds: str) -> Iterator[Operation]:
        """Its operations of these kinds that were answered with success."""
        return (one for one in self.operations if one.kind in kinds and one.outcome == "ok")

    def marks(self, unique_id: str) -> Operation | None:
        """The DELE that marked it."""
        deles = (one for one in self.operations if one.kind == "dele" and one.outcome != "fail")
        return next((one for one in deles if self.ids.get(one.facts["number"]) == unique_id), None)
