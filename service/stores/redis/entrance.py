"""A lease and what is held against who asks for it, in one pipeline and one wait.

Owns that they travel together. Refuses to know what either is: the commands and what their answers mean are those of
`locks` and `attempts`.
"""

import asyncio

from service.mail.ports import Lease
from service.model.attempts import Subject
from service.model.refusal import Refusal
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.attempts import RedisAttempts, blameless
from service.stores.redis.errors import kind_of
from service.stores.redis.locks import RedisMaildropLocks


class RedisEntrance:
    """Implements `mail.again.Entrance`."""

    def __init__(self, locks: RedisMaildropLocks, attempts: RedisAttempts, observer: Observer | None = None) -> None:
        self._locks = locks
        self._servers = locks.servers
        self._attempts = attempts
        self._calls = Calls("redis", observer or Unobserved(), kind_of)

    async def ask(self, lease: Lease, pair: Subject | None) -> float | None:
        """As the port says."""
        acquiring = self._locks.acquiring(lease)
        commands = (acquiring,) if pair is None else (acquiring, *self._attempts.asking_pair(pair))
        try:
            with self._calls.observed("enter"):
                answers = await self._servers.together(commands)
        except Refusal:
            return None
        except asyncio.CancelledError:
            # Nobody is left to release what the server may grant yet.
            self._locks.abandon(lease)
            raise
        if answers[0] != 1:
            return None
        return 0.0 if pair is None else blameless(answers[1], answers[2])
