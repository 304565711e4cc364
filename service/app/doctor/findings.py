"""What a check found.

Owns the three states, and what may be repeated of another system's own words. Refuses to print.
"""

from dataclasses import dataclass
from typing import Literal

from service.model.refusal import Refusal
from service.telemetry.logs import MASK, scrubbed

LINE = 300
"""Characters that are repeated of another system's words."""

State = Literal["good", "doubtful", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, how it is, and what to do about it."""

    subject: str
    state: State
    text: str
    advice: str = ""


def good(subject: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, "good", text)


def doubtful(subject: str, text: str, advice: str) -> Finding:
    """It works, but someone should look."""
    return Finding(subject, "doubtful", text, advice)


def wrong(subject: str, text: str, advice: str) -> Finding:
    """Poplar can't do its work like this."""
    return Finding(subject, "wrong", text, advice)


def why(error: BaseException, *secrets: str) -> str:
    """The cause of a refusal and the first line of what lies behind it, without passwords and `secrets`."""
    behind = error
    while behind.__cause__ is not None:
        behind = behind.__cause__
    said = (str(behind).splitlines() or [""])[0][:LINE]
    parts = [error.cause, said] if isinstance(error, Refusal) and behind is not error else [_cause(error)]
    text = ": ".join(filter(None, parts))
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK)
    return scrubbed(text)


def _cause(error: BaseException) -> str:
    return error.cause if isinstance(error, Refusal) else str(error)
