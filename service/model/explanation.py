"""What staff are told when they ask why a client can't log in: findings in plain words, each with what to do.

Owns the shape and how much a finding weighs. Refuses to know how anything was found.
"""

from dataclasses import dataclass
from enum import Enum


class Weight(Enum):
    """How a finding bears on a login; its value is what JSON has."""

    GOOD = "good"
    NOTE = "note"
    """Worth knowing, and no obstacle."""
    DOUBTFUL = "doubtful"
    """May stand against a login, for now or for some clients."""
    WRONG = "wrong"
    """No login can succeed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and what to do about it; `code` is for programs and stays the same."""

    weight: Weight
    code: str
    text: str
    advice: str = ""
