"""Maildrop leases, LOGIN-DELAY, live sessions, recent logins and the scores of failed ones in Redis or Valkey.

Owns keys, Lua files, pipelines and the breaker; implements `mail.ports.MaildropLocks`, `mail.attempts.Attempts`, ...
Works against one server, Sentinel and Cluster. Refuses to be the judge of who may remove: with Redis down, logins go on
under the fence alone.
"""

from service.stores.redis.allowances import RedisAllowances
from service.stores.redis.attempts import RedisAttempts
from service.stores.redis.batch import Limits
from service.stores.redis.entrance import RedisEntrance
from service.stores.redis.locks import Facts, RedisMaildropLocks
from service.stores.redis.recent import Keeping, RedisRecentLogins
from service.stores.redis.showings import RedisShowings

__all__ = [
    "Facts",
    "Keeping",
    "Limits",
    "RedisAllowances",
    "RedisAttempts",
    "RedisEntrance",
    "RedisMaildropLocks",
    "RedisRecentLogins",
    "RedisShowings",
]
