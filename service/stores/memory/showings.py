"""The in-memory twin of the showings.

Owns the same answers as `stores.redis.showings`. Refuses to outlive its process.
"""

from service.mail.ports import Clock
from service.model.account import MaildropKey


class MemoryShowings:
    """Implements `mail.outage.Showings`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[MaildropKey, tuple[str, float]] = {}

    async def note(self, key: MaildropKey, token: str, seconds: float) -> None:
        """It was the session `token`."""
        self._last[key] = token, self._clock.monotonic() + seconds

    async def last(self, key: MaildropKey) -> str | None:
        """The token of the last one."""
        token, until = self._last.get(key, (None, 0.0))
        return token if until > self._clock.monotonic() else None
