"""The `recent:` before a name, and what of a maildrop a session sees.

Owns the prefix that Gmail's users know: `recent:ada@acme.example` is ada's maildrop, of which the last days are shown,
so that several programs can read it. It is taken off before anything else looks at the name: one account, with one
count of wrong passwords, whichever way it is called. Refuses to know how a session counts what it sees.
RFC 1939 §4, RFC 4616 §2.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, time

from service.model.policy import Policy
from service.model.proof import Proof
from service.model.shown import EVERYTHING, Shown

PREFIX = "recent:"


def bare(name: str) -> str:
    """The name of the maildrop that `name` asks for."""
    return name[len(PREFIX) :] if is_recent(name) else name


def is_recent(name: str) -> bool:
    """Whether `name` asks for the last days of a maildrop alone."""
    return name[: len(PREFIX)].lower() == PREFIX


def told_apart(proof: Proof | None) -> tuple[Proof | None, bool]:
    """`proof` for the maildrop itself, and whether its name, or whom it acts for, asks for the last days alone."""
    if proof is None or not (":" in proof.name + proof.authzid and _asks(proof)):
        return proof, False
    return replace(proof, name=bare(proof.name), authzid=bare(proof.authzid)), True


def _asks(proof: Proof) -> bool:
    return is_recent(proof.name) or is_recent(proof.authzid)


def shown(policy: Policy, *, recent: bool) -> Shown:
    """What the policy lets a session see."""
    days = [n for n in (policy.shown_days, policy.recent_days if recent else None) if n is not None]
    if not days and policy.shown_since is None:
        return EVERYTHING
    return Shown(_midnight(policy.shown_since) if policy.shown_since else None, min(days, default=None))


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.min, UTC)
