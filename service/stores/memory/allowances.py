"""Sessions at once and octets a day in one process.

Owns the twin of `stores.redis.allowances`, by the clock it is given. Refuses to be shared.
"""

from collections.abc import Sequence

from service.mail.allowances import DAY_SECONDS, Circle
from service.mail.ports import LEASE_SECONDS, Clock
from service.model.account import MaildropKey


class MemoryAllowances:
    """Implements `mail.allowances.Allowances`."""

    def __init__(self, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._clock = clock
        self._seconds = lease_seconds
        self._circles: dict[str, dict[str, float]] = {}
        self._days: dict[MaildropKey, tuple[int, float]] = {}

    async def enter(self, circle: Circle, token: str) -> bool:
        """Whether the session is counted in the circle now."""
        now = self._clock.monotonic()
        inside = {each: until for each, until in self._circles.get(circle.name, {}).items() if until > now}
        self._circles[circle.name] = inside
        if token not in inside and len(inside) >= circle.limit:
            return False
        inside[token] = now + self._seconds
        return True

    async def stay(self, circle: str, tokens: Sequence[str]) -> None:
        """Count these for as long again."""
        until = self._clock.monotonic() + self._seconds
        self._circles.setdefault(circle, {}).update(dict.fromkeys(tokens, until))

    async def leave(self, circle: str, token: str) -> None:
        """Count it no longer."""
        self._circles.get(circle, {}).pop(token, None)

    async def spend(self, key: MaildropKey, octets: int, limit: int) -> float:
        """Seconds until more may be had; 0 for now."""
        now = self._clock.monotonic()
        used, over = self._days.get(key, (0, 0.0))
        if over <= now:
            used, over = 0, now + DAY_SECONDS
        used += octets
        if octets:
            self._days[key] = (used, over)
        return over - now if used >= limit else 0.0
