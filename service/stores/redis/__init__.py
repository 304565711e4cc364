"""Maildrop leases, LOGIN-DELAY and the registry of live sessions in Redis or Valkey.

Owns keys, Lua files, pipelines and the breaker; implements `mail.ports.MaildropLocks`. Works against one server,
Sentinel and Cluster. Refuses to be the judge of who may remove: with Redis down, logins go on under the fence alone.
"""

from service.stores.redis.allowances import RedisAllowances
from service.stores.redis.batch import Limits
from service.stores.redis.locks import Facts, RedisMaildropLocks

__all__ = ["Facts", "Limits", "RedisAllowances", "RedisMaildropLocks"]
