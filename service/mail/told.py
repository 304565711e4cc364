"""Who hears what becomes of those that ask for turns.

Owns the port, which `telemetry.sharing` fulfils. Refuses to know turns, and whose they are.
"""

from typing import Protocol


class Told(Protocol):
    """Who hears how long callers waited, and that some were sent away."""

    def waited(self, resource: str, seconds: float) -> None:
        """A caller got its turn after `seconds`; one that didn't wait isn't told of."""

    def turned_away(self, resource: str) -> None:
        """A caller was refused: the queue was full, or its class had its share of it, or patience ran out."""


class Untold:
    """Nobody."""

    def waited(self, resource: str, seconds: float) -> None:
        """Forget it."""

    def turned_away(self, resource: str) -> None:
        """Forget it."""
