"""One real server or a real cluster of three, for suites that run on both and on a twin in memory.

Owns the connection of the code under test and that of the test itself. These suites are not about deadlines: a busy
machine may take its time.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from service.stores.redis import RedisMaildropLocks
from service.stores.redis.batch import Limits
from tests.backends.valkey_group import Group

KINDS = ("valkey", "cluster")
DEADLINE = 20.0


@dataclass(frozen=True)
class Reached:
    """`locks` are the service's way there, `client` the test's."""

    locks: RedisMaildropLocks
    client: Redis | RedisCluster


LEASE = 30.0
"""Seconds of their leases: with a busy machine's pauses, a shorter one would run out by itself."""


@asynccontextmanager
async def reached(request: pytest.FixtureRequest) -> AsyncIterator[Reached]:
    """The kind that `request.param` names: one of KINDS."""
    client: Redis | RedisCluster
    if request.param == "valkey":
        url = request.getfixturevalue("redis_url")
        client = Redis.from_url(url)
    else:
        group: Group = request.getfixturevalue("valkey_cluster")
        url, client = group.url, RedisCluster(host="127.0.0.1", port=group.nodes[0].port)
    locks = RedisMaildropLocks(url, lease_seconds=LEASE, limits=Limits(deadline=DEADLINE))
    try:
        yield Reached(locks, client)
    finally:
        await client.aclose()
        await locks.aclose()
