"""What recovery felt like, in seconds and counts, read from a history.

Owns the figures: after a front end's death, without Redis, with Postgres back, without the object store, in a rolling
update. Refuses to judge: the aims stand beside the figures (`deploy/decisions/faults.md`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.faults.operations import Operation

DEATH, STANDSTILL = "front end killed", "front end paused"
NO_REDIS = ("Redis gone", "Redis silent", "Redis out of reach", "Redis cut off", "Redis full")
BACK = ("Postgres stopped", "Postgres killed", "Postgres silent", "pool exhausted", "standby silent")
FAILOVERS = ("Postgres failed over",)
NO_STORE = ("store silent", "store out of reach", "store cut off", "store answers 503")
UPDATES = ("front ends replaced",)
UNHEARD = ("clients cut off", "clients out of reach", "clients slow")
"""Nobody can tell how the service is meanwhile."""
LOOKED_AT = 10.0
"""Seconds after a fault in which clients must get through if its recovery is to be seen."""
AFTER = 30.0
"""Seconds after a fault that still count as its recovery."""


@dataclass(frozen=True)
class Spell:
    """One fault from its beginning to its mending."""

    fault: Operation
    mended: Operation

    @property
    def servers(self) -> set[str]:
        return {each for each in self.fault.facts["touches"] if each.startswith(("front", "lmtp"))}

    def meets(self, other: "Spell") -> bool:
        """Whether the other went on while this one, or the recovery from it, was looked at."""
        return self.fault.began <= other.mended.ended and other.fault.began <= self.mended.ended + LOOKED_AT

    def touches(self, one: Operation) -> bool:
        """Whether the fault was there for a part of the operation."""
        return self.fault.began <= one.ended and one.began <= self.mended.ended

    def stood_at(self, moment: float) -> bool:
        """Whether the fault was there then."""
        return self.fault.began <= moment <= self.mended.ended

    def covers(self, one: Operation) -> bool:
        """Whether the operation began and ended while the fault was there."""
        return self.fault.ended <= one.began and one.ended <= self.mended.began


@dataclass(frozen=True)
class Figure:
    """What was found beside what is wanted."""

    what: str
    aim: str
    found: Sequence[float] = ()
    told: str = ""

    def __str__(self) -> str:
        """A line of a table."""
        spread = f"median {median(self.found):.1f} s, worst {max(self.found):.1f} s" if self.found else "none"
        return f"| {self.what} | {self.aim} | {len(self.found) or ''} | {self.told or spread} |"


@dataclass(frozen=True)
class Recovery:
    """The figures of one history."""

    history: Sequence[Operation]
    _ends: dict[str, float] = field(default_factory=dict)

    def figures(self) -> list[Figure]:
        for one in self.history:
            if one.kind in {"quit", "dropped", "closed"} and one.session:
                self._ends.setdefault(one.session, one.ended)
        return [
            Figure("a maildrop is back after its front end was killed", "10 s, at most 30 s", self._back(DEATH)),
            Figure("a maildrop is back after its front end stood still", "10 s, at most 30 s", self._back(STANDSTILL)),
            Figure("logins without Redis", "they go on", told=self._without_redis()),
            Figure("a login at each front end once Postgres is back", "5 s", self._with_postgres(BACK, promoted=False)),
            Figure("a login at each front end once a standby is promoted", "5 s", self._failovers()),
            Figure("RETR and TOP refused without the store alone", "5 s each", self._refused()),
            Figure("LIST, UIDL and STAT without the store", "they work", told=self._listings()),
            Figure("a rolling update of all front ends", "cuts no RETR, loses no QUIT", told=self._updates()),
        ]

    def page(self) -> str:
        """The figures as a table of Markdown."""
        lines = ["| what | aim | times | found |", "|---|---|---|---|", *map(str, self.figures())]
        return "\n".join([*lines, ""])

    def _spells(self, *names: str) -> Iterator[Spell]:
        """Those of these names, but for any that clients could not look at."""
        unheard = list(self._all(*UNHEARD))
        return (one for one in self._all(*names) if not any(one.meets(other) for other in unheard))

    def _all(self, *names: str) -> Iterator[Spell]:
        begun: dict[str, Operation] = {}
        for one in sorted(self.history, key=lambda each: (each.ended, each.n)):
            what = one.facts.get("what", "")
            if one.kind == "fault" and what in names:
                begun[what] = one
            elif one.kind == "mended" and what in begun:
                yield Spell(begun.pop(what), one)

    def _every(self) -> Iterator[Spell]:
        """Those of every name."""
        return self._all(*{one.facts["what"] for one in self.history if one.kind == "fault"})

    def _opened(self, since: float, **facts: str) -> float | None:
        """When the first login after `since` was answered +OK, of those with these facts."""
        times = (
            one.ended
            for one in self.history
            if one.kind == "login" and one.outcome == "ok" and one.ended > since
            if all(one.facts.get(name) == value for name, value in facts.items())
        )
        return next(times, None)

    def _back(self, death: str) -> list[float]:
        """Of each maildrop that a session held just there and then, as far as anybody asked for it."""
        found = []
        for spell in self._spells(death):
            at = spell.fault.ended
            for one in self.history:
                held = one.kind == "login" and one.outcome == "ok" and one.ended < at
                if held and one.facts["server"] in spell.servers and self._ends.get(one.session or "", at + 1) >= at:
                    again = self._opened(at, address=one.facts["address"])
                    found += [again - at] if again is not None else []
        return found

    def _without_redis(self) -> str:
        spells = list(self._spells(*NO_REDIS))
        logins = [one for one in self.history if one.kind == "login" and any(each.covers(one) for each in spells)]
        opened = [one for one in logins if one.outcome == "ok"]
        refused = [one for one in logins if one.outcome == "fail" and "[SYS/" in one.said]
        return f"{len(opened)} opened, {len(refused)} refused as unavailable, in {len(spells)} outages"

    def _with_postgres(self, names: Sequence[str], *, promoted: bool) -> list[float]:
        found = []
        for spell in self._spells(*names):
            since = spell.fault.ended if promoted else spell.mended.ended
            for server in sorted({one.facts["server"] for one in self.history if one.kind == "login"}):
                opened = self._opened(since, server=server)
                if opened is not None and opened - since < AFTER and not self._harmed(server, since, opened, spell):
                    found.append(opened - since)
        return found

    def _harmed(self, server: str, since: float, until: float, but: Spell) -> bool:
        """Whether another fault than `but` kept the server from serving in a part of that time."""
        others = (each for each in self._every() if each.fault.n != but.fault.n and server in each.servers)
        return any(each.fault.began <= until and since <= each.mended.ended for each in others)

    def _failovers(self) -> list[float]:
        return self._with_postgres(FAILOVERS, promoted=True)

    def _refused(self) -> list[float]:
        """Those asked for while Postgres was harmed, too, are left out: where a message is it tells first."""
        spells = list(self._spells(*NO_STORE))
        others = [each for each in self._every() if "postgres" in each.fault.facts["touches"]]
        return [
            one.ended - one.began
            for one in self.history
            if one.kind in {"retr", "top"} and "[SYS/TEMP] Try" in one.said
            if any(each.covers(one) for each in spells) and not any(each.stood_at(one.began) for each in others)
        ]

    def _listings(self) -> str:
        spells = list(self._spells(*NO_STORE))
        asked = [one for one in self.history if one.kind in {"list", "uidl", "stat"}]
        during = [one for one in asked if any(each.covers(one) for each in spells)]
        failed = [one for one in during if one.outcome != "ok" and not self._ended_otherwise(one)]
        answered = [one for one in during if one.outcome == "ok"]
        return f"{len(answered)} answered, {len(failed)} not, in {len(spells)} outages"

    def _updates(self) -> str:
        spells = list(self._spells(*UPDATES))
        during = [one for one in self.history if any(spell.touches(one) for spell in spells)]
        retrieved = [one for one in during if one.kind == "retr" and one.outcome != "fail"]
        cut = [one for one in retrieved if one.outcome == "unknown" and one.said.startswith("+OK")]
        quits = [one for one in during if one.kind == "quit" and one.facts.get("waited", True)]
        lost = [one for one in quits if one.outcome == "unknown" and not self._ended_otherwise(one)]
        missing = f"{len(cut)} of {len(retrieved)} RETR cut, {len(lost)} of {len(quits)} QUIT unanswered"
        return f"{len(spells)} updates: {missing}"

    def _ended_otherwise(self, asked: Operation) -> bool:
        """Whether staff ended the session, or a newer one took its maildrop, so that the server closed it."""
        began = next((one.began for one in self.history if one.kind == "login" and one.session == asked.session), 0.0)
        return any(
            one.maildrop == asked.maildrop and began < one.ended and one.began < asked.ended
            for one in self.history
            if one.kind in {"kick", "suspend", "password"}
            or (one.kind == "login" and one.outcome == "ok" and one.session != asked.session)
        )
