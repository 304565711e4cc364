"""Time, as the use cases are given it.

Owns the reading of the system's clocks. Refuses to be set: tests have a clock of their own.
"""

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements `mail.ports.Clock`."""

    def now(self) -> datetime:
        """The current moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()
