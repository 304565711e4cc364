"""Invents histories that are right: a model of one maildrop, its clients interleaved step by step, by a seed.

Owns the truth: each operation acts at one instant between its beginning and its end, or, where its client gave up,
perhaps later or never. So overlaps, unknown outcomes, forgotten leases and late QUITs come about, all lawful.
Refuses to know the checker.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from tests.faults.operations import Kind, Operation, Outcome
from tests.faults.telling import ANNA, AUTH, IN_USE, LATER, LOST, OUTCOME_UNKNOWN, digest, octets_of

LATEST = 5.0
"""Seconds after which an effect that nobody waits for comes at once."""
Answer = tuple[Outcome, str, dict[str, Any]]


@dataclass
class Held:
    """A session as the server has it."""

    name: str
    numbers: list[str]
    marked: set[int] = field(default_factory=set)
    lost: float | None = None


@dataclass
class Truth:
    """The maildrop as it is."""

    messages: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    """Of every message that there ever was."""
    holder: str | None = None
    newest: str | None = None
    secret: str = "1"
    suspended: bool = False
    waiting: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    """What takes effect although nobody waits for it any more, and since when."""


@dataclass
class Client:
    """What it is doing: `work` runs up to its next operation's beginning, effect or end."""

    name: str
    work: Iterator[None]
    held: Held | None = None


class Invention:
    """One history; `operations` when it is finished."""

    def __init__(self, seed: int, steps: int = 400) -> None:
        self.dice = Random(seed)
        self.truth = Truth()
        self.operations: list[Operation] = []
        self.now = 1000.0
        self._sessions = self._texts = 0
        self._begun: dict[str, tuple[Kind, str, float, dict[str, Any], str | None]] = {}
        works = [self._reader] * 3 + [self._sender] * 2 + [self._staff, self._nemesis]
        clients = [work(f"c{number}") for number, work in enumerate(works)]
        self._write("password", "staff", self.now, ("ok", "", {"secret": "1"}))
        for _ in range(steps):
            self._tick()
            next(self.dice.choices(clients, weights=[6, 6, 6, 1, 1, 1, 1])[0])
        while self.truth.waiting:
            self.truth.waiting.pop(0)[1]()
        for kind, client, began, told, session in list(self._begun.values()):
            self._write(kind, client, began, ("unknown", "", told), session)
        self._last_look()

    def _tick(self) -> None:
        self.now += self.dice.uniform(0.001, 0.2)
        waiting = self.truth.waiting
        if waiting and (self.dice.random() < 0.2 or self.now - waiting[0][0] > LATEST):
            late = self.now - waiting[0][0] > LATEST
            waiting.pop(0 if late else self.dice.randrange(len(waiting)))[1]()

    def _later(self, effect: Callable[[], object]) -> None:
        self.truth.waiting.append((self.now, effect))

    def _write(self, kind: Kind, client: str, began: float, answer: Answer, session: str | None = None) -> None:
        self._tick()
        outcome, said, facts = answer
        maildrop = None if kind in {"fault", "mended"} else ANNA
        text = (outcome, said, session, maildrop)
        self.operations.append(Operation(len(self.operations) + 1, client, kind, began, self.now, *text, facts))

    def _done(self, kind: Kind, client: str, effect: Callable[[], Answer], told: dict[str, Any]) -> Iterator[None]:
        """An operation in three steps; its answer may be lost, and its effect with it, or come later."""
        session = told.pop("session", None)
        began = self.now
        self._begun[client] = (kind, client, began, told, session)
        yield
        lost = self.dice.random() < 0.08 and kind in {"login", "deliver", "quit", "retr", "password"}
        if not lost:
            outcome, said, facts = effect()
        elif self.dice.random() < 0.4:
            effect()
        elif kind != "login" and self.dice.random() < 0.5:
            self._later(effect)
        yield
        del self._begun[client]
        answer: Answer = ("unknown", "", told) if lost else (outcome, said, {**told, **facts})
        self._write(kind, client, began, answer, session)

    def _sender(self, client: str) -> Iterator[None]:
        while True:
            self._texts += 1
            text = self._texts
            for _ in range(self.dice.choice([1, 1, 1, 3])):
                told = {"text": text, "octets": 10 * text, "sha256": digest(text)}
                yield from self._done("deliver", client, partial(self._deliver, text), told)
                if self.operations[-1].client == client and self.operations[-1].outcome == "ok":
                    break
            yield

    def _deliver(self, text: int) -> Answer:
        stored = self.dice.random() < 0.9
        if stored:
            unique_id = f"u{len(self.truth.texts) + 1}"
            self.truth.messages[unique_id] = self.truth.texts[unique_id] = text
        if not stored or self.dice.random() < 0.1:
            return "fail", "451 4.3.0 Temporary failure, try again later", {}
        return "ok", "250 2.0.0 Delivered", {}

    def _staff(self, client: str) -> Iterator[None]:
        while True:
            for _ in range(self.dice.randrange(40)):
                yield
            kind: Kind = self.dice.choice(["password", "suspend", "resume", "resume"])
            secret = str(int(self.truth.secret) + 1)
            yield from self._done(
                kind, client, partial(self._set, kind, secret), {"secret": secret} if kind == "password" else {}
            )

    def _set(self, kind: Kind, secret: str) -> Answer:
        if kind == "password":
            self.truth.secret = max(secret, self.truth.secret, key=int)
        else:
            self.truth.suspended = kind == "suspend"
        return "ok", "", {}

    def _nemesis(self, client: str) -> Iterator[None]:
        while True:
            for _ in range(self.dice.randrange(20)):
                yield
            began, facts = self.now, {"what": "Redis emptied", "touches": ["redis"]}
            self._write("fault", client, began, ("ok", "", facts))
            self.truth.holder = None
            yield
            self._write("mended", client, self.now, ("ok", "", facts))

    def _reader(self, client: str) -> Iterator[None]:
        while True:
            self._sessions += 1
            name = f"s{self._sessions}"
            told = {"secret": self._secret(), "session": name}
            held: list[Held] = []
            yield from self._done("login", client, partial(self._login, name, told["secret"], held), told)
            if self._answered(client) == "ok":
                yield from self._session(client, held[0])
            elif held:
                self._vanishes(held[0])
            yield

    def _secret(self) -> str:
        return "wrong" if self.dice.random() < 0.05 else self.truth.secret

    def _login(self, name: str, secret: str, held: list[Held]) -> Answer:
        truth = self.truth
        if secret != truth.secret or truth.suspended:
            return "fail", AUTH, {}
        if truth.holder is not None:
            return "fail", IN_USE, {}
        if self.dice.random() < 0.05:
            return "fail", LATER, {}
        truth.holder = truth.newest = name
        held.append(Held(name, list(truth.messages)))
        return "ok", "+OK Maildrop locked and ready", {}

    def _session(self, client: str, held: Held) -> Iterator[None]:
        marked_ids = False
        for _ in range(self.dice.randrange(2, 12)):
            if self._must_close(held):
                self._write("closed", client, self.now, ("ok", "", {}), held.name)
                return
            kind: Kind = self.dice.choice(["stat", "list", "uidl", "retr", "retr", "dele", "rset", "noop", "top"])
            if kind == "dele" and not marked_ids:
                kind = "uidl"
            yield from self._asked(client, held, kind)
            marked_ids |= kind == "uidl" and self._answered(client) == "ok"
            if self._answered(client) == "unknown":
                self._vanishes(held)
                return
        if self.dice.random() < 0.2:
            self._vanishes(held)
            self._write("dropped", client, self.now, ("ok", "", {}), held.name)
            return
        yield from self._done("quit", client, lambda: self._quit(held), {"session": held.name})
        if self._answered(client) == "unknown":
            self._vanishes(held)

    def _must_close(self, held: Held) -> bool:
        if self.truth.newest != held.name and held.lost is None:
            held.lost = self.now
        return held.lost is not None and (self.now > held.lost + 5 or self.dice.random() < 0.1)

    def _vanishes(self, held: Held) -> None:
        self._later(lambda: self._release(held))

    def _release(self, held: Held) -> None:
        if self.truth.holder == held.name:
            self.truth.holder = None

    def _asked(self, client: str, held: Held, kind: Kind) -> Iterator[None]:
        told: dict[str, Any] = {"session": held.name}
        if kind in {"retr", "dele", "top"}:
            told["number"] = self.dice.randrange(1, len(held.numbers) + 2)
        if kind == "top":
            told["lines"] = 0
        return self._done(kind, client, lambda: self._answer(held, kind, told.get("number", 0)), told)

    def _answer(self, held: Held, kind: Kind, number: int) -> Answer:
        left = {n: each for n, each in enumerate(held.numbers, 1) if n not in held.marked}
        if number and number not in left:
            return "fail", "-ERR No such message", {}
        if kind not in {"noop", "rset"} and self.dice.random() < 0.05:
            return "fail", LATER, {}
        return "ok", "+OK", self._facts(held, kind, number, left)

    def _facts(self, held: Held, kind: Kind, number: int, left: dict[int, str]) -> dict[str, Any]:
        octets = {n: octets_of(self.truth.texts[each]) for n, each in left.items()}
        match kind:
            case "stat":
                return {"count": len(left), "octets": sum(octets.values())}
            case "list":
                return {"octets": octets}
            case "uidl":
                return {"ids": left}
            case "retr":
                return retrieved(self.truth.texts[left[number]])
            case "top":
                return {"sha256": digest(f"top {left[number]}"), "octets": 50, "whole": True}
            case "dele":
                held.marked.add(number)
            case "rset":
                held.marked.clear()
        return {}

    def _quit(self, held: Held) -> Answer:
        marked = [held.numbers[number - 1] for number in held.marked]
        lucky = self.dice.random()
        if marked and self.truth.newest != held.name:
            return "fail", LOST, {}
        if marked and lucky < 0.1:
            self._release(held)
            return "fail", LATER, {}
        if lucky > 0.05 or not marked:
            for unique_id in marked:
                del self.truth.messages[unique_id]
        self._release(held)
        return ("fail", OUTCOME_UNKNOWN, {}) if marked and lucky < 0.2 else ("ok", "+OK Bye", {})

    def _answered(self, client: str) -> Outcome:
        return next(one.outcome for one in reversed(self.operations) if one.client == client)

    def _last_look(self) -> None:
        texts = self.truth.messages
        facts: dict[str, Any] = {"ids": list(texts), "octets": [octets_of(text) for text in texts.values()]}
        proofs = {unique_id: retrieved(text) for unique_id, text in texts.items()}
        for name in ("sha256", "sent", "text"):
            facts[name] = {unique_id: proof[name] for unique_id, proof in proofs.items()}
        self.now += 1
        self._write("final", "last", self.now, ("ok", "", facts))


def retrieved(text: int) -> dict[str, Any]:
    """What RETR brings of a text."""
    return {
        "octets": octets_of(text),
        "sha256": digest(f"trace {text}"),
        "sent": digest(text),
        "text": text,
        "whole": True,
    }
