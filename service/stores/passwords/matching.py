"""What every scheme of verifiers has in common.

Owns the shape of a reader of verifiers and the bound on what a stored one may cost. Refuses to know any scheme.
"""

from collections.abc import Callable

Matcher = Callable[[bytes], bool]
"""Whether a secret is the one that the verifier proves; computes for at most about a second."""

Reader = Callable[[str], Matcher]
"""Reads a verifier. Raises ValueError with the end of a sentence that begins "the verifier"."""


def bounded(cost: int, most: int, what: str) -> None:
    """Raises ValueError when a verifier would cost more than this service pays for one login, or nothing at all."""
    if not 1 <= cost <= most:
        raise ValueError(f"asks for {cost} {what}; 1 to {most} are accepted")
