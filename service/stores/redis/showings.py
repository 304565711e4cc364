"""Which session a maildrop was shown to last, over all front ends, in Redis.

Owns the key, which expires. Refuses to know what was shown.
"""

from service.model.account import MaildropKey
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.errors import kind_of
from service.stores.redis.keys import shown_key
from service.stores.redis.scripts import Command
from service.stores.redis.servers import Servers


class RedisShowings:
    """Implements `mail.outage.Showings` on `servers`, whose pipelines and deadline it shares with the leases."""

    def __init__(self, servers: Servers, observer: Observer | None = None) -> None:
        self._servers = servers
        self._calls = Calls("redis", observer or Unobserved(), kind_of)

    async def note(self, key: MaildropKey, token: str, seconds: float) -> None:
        """It was the session `token`."""
        await self._run("show", ("SET", shown_key(key), token, "PX", round(seconds * 1000)))

    async def last(self, key: MaildropKey) -> str | None:
        """The token of the last one."""
        token = await self._run("shown", ("GET", shown_key(key)))
        return token.decode() if isinstance(token, bytes) else None

    async def _run(self, name: str, command: Command) -> object:
        with self._calls.observed(name):
            return await self._servers.submit(command)
