"""Sessions at once and octets a day, counted in Redis for all front ends.

Owns the keys and times: one key a circle or maildrop, so that a cluster serves it, and the server's own clock. Every
key expires. Refuses to judge what a policy allows.
"""

from collections.abc import Sequence

from service.mail.allowances import DAY_SECONDS, Circle
from service.mail.ports import LEASE_SECONDS
from service.model.account import MaildropKey
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.errors import kind_of
from service.stores.redis.keys import circle_key, octets_key
from service.stores.redis.scripts import ENTER, SPEND, STAY, Command
from service.stores.redis.servers import Servers


class RedisAllowances:
    """Implements `mail.allowances.Allowances` on `servers`, whose pipelines and deadline it shares with the leases."""

    def __init__(
        self, servers: Servers, *, lease_seconds: float = LEASE_SECONDS, observer: Observer | None = None
    ) -> None:
        self._servers = servers
        self._milliseconds = round(lease_seconds * 1000)
        self._calls = Calls("redis", observer or Unobserved(), kind_of)

    async def enter(self, circle: Circle, token: str) -> bool:
        """Whether the session is counted in the circle now."""
        key = circle_key(circle.name)
        return await self._run("enter", ENTER.on((key,), token, circle.limit, self._milliseconds)) == 1

    async def stay(self, circle: str, tokens: Sequence[str]) -> None:
        """Count these for as long again."""
        key = circle_key(circle)
        await self._run("stay", STAY.on((key,), self._milliseconds, *tokens))

    async def leave(self, circle: str, token: str) -> None:
        """Count it no longer."""
        await self._run("leave", ("ZREM", circle_key(circle), token))

    async def spend(self, key: MaildropKey, octets: int, limit: int) -> float:
        """Seconds until more may be had; 0 for now."""
        left = await self._run("spend", SPEND.on((octets_key(key),), octets, limit, DAY_SECONDS * 1000))
        return left / 1000 if isinstance(left, int) else 0.0

    async def _run(self, name: str, command: Command) -> object:
        with self._calls.observed(name):
            return await self._servers.submit(command)
