"""Histories made by hand: a teller who says what each client asked for and heard, one thing after the other.

Owns the clock of such a history, a second an operation, and plausible facts. Refuses to judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.faults.operations import Kind, Operation, Outcome

ANNA = "anna@a.example"
TRACE_OCTETS = 100
LATER = "-ERR [SYS/TEMP] Try again later: service unavailable, please wait"
LOST = "-ERR [SYS/TEMP] This session no longer holds the maildrop, please wait; no message was removed"
OUTCOME_UNKNOWN = "-ERR [SYS/TEMP] Outcome unknown, please wait: either all marked messages were removed or none"
IN_USE = "-ERR [IN-USE] Maildrop locked by another session, please wait"
AUTH = "-ERR [AUTH] Authentication failed"


def digest(text: object) -> str:
    """Of a text as it was sent; of a message as it came, that of its text with trace lines."""
    return sha256(str(text).encode()).hexdigest()


def octets_of(text: int) -> int:
    return TRACE_OCTETS + 10 * text


@dataclass
class Teller:
    """The history so far."""

    told: list[Operation] = field(default_factory=list)
    now: float = 100.0

    def tell(
        self, kind: Kind, outcome: Outcome = "ok", said: str = "", session: str | None = None, **facts: Any
    ) -> Operation:
        """An operation that takes half a second, or from `began` to `ended`."""
        began, ended = facts.pop("began", self.now), facts.pop("ended", self.now + 0.5)
        client = facts.pop("client", f"c-{session}")
        maildrop = None if kind in {"fault", "mended"} else facts.pop("maildrop", ANNA)
        answer = said or ("+OK" if outcome == "ok" else LATER if outcome == "fail" else "")
        where = (outcome, "" if outcome == "unknown" else answer, session, maildrop)
        operation = Operation(len(self.told) + 1, client, kind, began, ended, *where, facts)
        self.told.append(operation)
        self.now = max(self.now, ended) + 0.5
        return operation

    def deliver(self, text: int, outcome: Outcome = "ok", said: str = "", **facts: Any) -> Operation:
        answer = said or ("250 2.0.0 Delivered" if outcome == "ok" else "451 4.3.0 Temporary failure")
        return self.tell("deliver", outcome, answer, text=text, octets=10 * text, sha256=digest(text), **facts)

    def opened(self, name: str, texts: Mapping[str, int], **facts: Any) -> "Teller":
        """A session that logs in, is told unique-ids and octets, and retrieves everything."""
        self.tell("login", session=name, secret=facts.pop("secret", "1"), address=ANNA, **facts)
        self.listed(name, list(texts), [octets_of(text) for text in texts.values()])
        for number, text in enumerate(texts.values(), 1):
            self.retr(name, number, text)
        return self

    def listed(self, name: str, ids: Sequence[str], octets: Sequence[int]) -> None:
        self.tell("stat", session=name, count=len(ids), octets=sum(octets))
        self.tell("list", session=name, octets=dict(enumerate(octets, 1)))
        self.tell("uidl", session=name, ids=dict(enumerate(ids, 1)))

    def retr(self, name: str, number: int, text: int, **more: Any) -> Operation:
        proof = {"octets": octets_of(text), "sha256": digest(f"trace {text}"), "sent": digest(text), "text": text}
        return self.tell("retr", session=name, number=number, whole=True, **{**proof, **more})

    def dele(self, name: str, *numbers: int) -> None:
        for number in numbers:
            self.tell("dele", session=name, number=number)

    def quit(self, name: str, outcome: Outcome = "ok", said: str = "", **facts: Any) -> Operation:
        return self.tell("quit", outcome, said, name, **facts)

    def last_look(self, texts: Mapping[str, int], **more: Any) -> Sequence[Operation]:
        """The last session; the whole history."""
        facts = {
            "ids": list(texts),
            "octets": [octets_of(text) for text in texts.values()],
            "sha256": {unique_id: digest(f"trace {text}") for unique_id, text in texts.items()},
            "sent": {unique_id: digest(text) for unique_id, text in texts.items()},
            "text": dict(texts),
        }
        self.tell("final", **{**facts, **more})
        return self.told
