"""What a check found.

Owns the three states. Refuses to print.
"""

from dataclasses import dataclass
from typing import Literal

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
