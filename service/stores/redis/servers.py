"""The server that keeps a maildrop's keys: the only one, Sentinel's present master, or one node of a cluster.

Owns the clients of redis-py and one batcher for each server, so that a node out of reach costs only those
maildrops that it keeps. Refuses to know what the commands mean. redis-py's own retries are off: a repeated
command would answer differently, and the deadline is the batcher's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import AskError, RedisClusterException, TryAgainError

from service.stores.redis.batch import Batcher, Limits
from service.stores.redis.errors import CallFailed
from service.stores.redis.master import MasterWire
from service.stores.redis.scripts import Command, key_of
from service.stores.redis.urls import Target
from service.stores.redis.wire import Wire

PING = ("PING",)
T = TypeVar("T")
ELSEWHERE = (AskError, TryAgainError)
"""What a node of a cluster says of a slot that it doesn't keep, or not alone; MovedError is an AskError."""


class Servers(Protocol):
    """All servers of one installation."""

    def keeping(self, key: str) -> Batcher:
        """The batcher of the server that keeps `key`."""

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """The answer to come, as of `Batcher.submit`, of the server that keeps the command's key."""

    def together(self, commands: Sequence[Command]) -> Awaitable[list[object]]:
        """The answers to commands that have keys, which leave in one pipeline for each server.

        Raises CallFailed, perhaps at once.
        """

    def scan(self, pattern: str) -> AsyncIterator[bytes]:
        """The keys on all servers that match, some perhaps twice."""

    async def info(self, section: str) -> list[dict[str, Any]]:
        """What each server says of itself."""

    async def aclose(self) -> None:
        """Close every connection."""


async def _run(client: RedisCluster, commands: Sequence[Command]) -> list[object]:
    pipeline = client.pipeline()
    for words in commands:
        pipeline.execute_command(*words)
    return list(await pipeline.execute(raise_on_error=False))


def _promised(taken: "Callable[[], asyncio.Future[T]]") -> "asyncio.Future[T]":
    """An answer to come, as one of several that are waited for: that it isn't even taken comes with it, too."""
    try:
        return taken()
    except CallFailed as failed:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        answer.set_exception(failed)
        return answer


async def _all(promised: "Sequence[asyncio.Future[T]]") -> list[T]:
    """What all came to. Raises the first failure once all are over: what undoes them can't overtake one, then."""
    await asyncio.gather(*promised, return_exceptions=True)
    return [answer.result() for answer in promised]


class OneServer:
    """A single server, or whichever Sentinel calls the master."""

    def __init__(self, client: Redis, limits: Limits, sentinel: Sentinel | None = None) -> None:
        self._client = client
        self._sentinel = sentinel
        pool = client.connection_pool
        self._wire = MasterWire(pool) if isinstance(pool, SentinelConnectionPool) else Wire(pool)
        self._batcher = Batcher(self._wire, client.ping, limits, self._wire)
        self._most = limits.batch
        self.submit = self._batcher.submit
        """The answer to come."""

    def keeping(self, key: str) -> Batcher:
        """The only batcher."""
        return self._batcher

    def together(self, commands: Sequence[Command]) -> Awaitable[list[object]]:
        """The answers, in order. Raises CallFailed, perhaps at once."""
        return self._batcher.together(commands) if 0 < len(commands) <= self._most else self._in_parts(commands)

    async def _in_parts(self, commands: Sequence[Command]) -> list[object]:
        parts = [commands[begin : begin + self._most] for begin in range(0, len(commands), self._most)]
        promised = [_promised(partial(self._batcher.together, part)) for part in parts]
        return [answer for part in await _all(promised) for answer in part]

    def scan(self, pattern: str) -> AsyncIterator[bytes]:
        """The keys that match, some perhaps twice."""
        return self._client.scan_iter(match=pattern, count=1000)

    async def info(self, section: str) -> list[dict[str, Any]]:
        """What the server says of itself."""
        return [dict(await self._client.info(section))]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._batcher.aclose()
        await self._wire.aclose()
        await self._client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()


class Cluster:
    """A Redis Cluster: a batcher for each primary, and one that finds the nodes at first."""

    def __init__(self, client: RedisCluster, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._first = Batcher(partial(_run, client), client.initialize, limits)
        self._nodes: dict[str, _Node] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._named = dict(client.nodes_manager.startup_nodes)
        """The nodes that the settings name; redis-py forgets them for the addresses that a cluster tells."""

    def keeping(self, key: str) -> Batcher:
        """The batcher of the primary that keeps `key`, as far as known: a node that knows better redirects."""
        try:
            node = self._client.get_node_from_key(key)
        except RedisClusterException:
            node = None
        if node is None:
            return self._first
        if node.name not in self._nodes:
            self._part()
            wire = Wire(node)
            batcher = Batcher(partial(self._ask, wire), partial(self._probe, node), self._limits, wire)
            self._nodes[node.name] = _Node(batcher, wire)
        return self._nodes[node.name].batcher

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """The answer to come."""
        return self.keeping(key_of(command)).submit(command)

    def together(self, commands: Sequence[Command]) -> Awaitable[list[object]]:
        """The answers, in order. Raises CallFailed, once nothing of it is under way any more."""
        return _all([_promised(partial(self.submit, command)) for command in commands])

    def scan(self, pattern: str) -> AsyncIterator[bytes]:
        """The keys on all primaries that match, some perhaps twice."""
        return self._client.scan_iter(match=pattern, count=1000, target_nodes=RedisCluster.PRIMARIES)

    async def info(self, section: str) -> list[dict[str, Any]]:
        """What each primary says of itself."""
        primaries = (await self._client.initialize()).get_primaries()
        return [dict(await self._client.info(section, target_nodes=node)) for node in primaries]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._first.aclose()
        for node in self._nodes.values():
            await node.batcher.aclose()
            await node.wire.aclose()
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._client.aclose()

    async def _ask(self, wire: Wire, commands: Sequence[Command]) -> list[object]:
        """The node's own answers. It did nothing of what it sent elsewhere: redis-py follows, and learns the way."""
        answers = await wire(commands)
        elsewhere = [place for place, answer in enumerate(answers) if isinstance(answer, ELSEWHERE)]
        if elsewhere:
            again = await _run(self._client, [commands[place] for place in elsewhere])
            for place, answer in zip(elsewhere, again, strict=True):
                answers[place] = answer
            self._part()
        return answers

    def _part(self) -> None:
        """Leave the nodes that keep nothing any more, once what was asked of them is answered."""
        keepers = {primary.name for primary in self._client.get_primaries()}
        for name in self._nodes.keys() - keepers:
            task = asyncio.create_task(_leave(self._nodes.pop(name)))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _probe(self, node: ClusterNode) -> None:
        """Learn who keeps what now; a node that keeps nothing any more needs no answer."""
        manager = self._client.nodes_manager
        # All nodes may have come back under other addresses, to which only a name of the settings leads.
        manager.startup_nodes = self._named | manager.startup_nodes
        await manager.initialize()
        self._part()
        if node.name in self._nodes:
            await node.execute_command("PING")


@dataclass(frozen=True, slots=True)
class _Node:
    batcher: Batcher
    wire: Wire


async def _leave(node: _Node) -> None:
    try:
        await node.batcher.finish()
    finally:
        await node.wire.aclose()


def connect(target: Target, limits: Limits) -> Servers:
    """The servers at `target`; connections open when first needed. Raises ValueError for an unknown option."""
    options = _options(limits) | target.options
    try:
        if target.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in target.hosts]
            return Cluster(RedisCluster(startup_nodes=nodes, ssl=target.tls, **options), limits)
        if target.kind == "sentinel":
            return _sentinel(target, options, limits)
        client = Redis.from_url(target.url, **_options(limits))
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except TypeError as error:
        raise ValueError("the Redis URL has an option that redis-py doesn't know") from error
    return OneServer(client, limits)


def _sentinel(target: Target, options: dict[str, Any], limits: Limits) -> OneServer:
    tls: dict[str, Any] = {"ssl": True} if target.tls else {}
    # The Sentinels are spoken to as the master is: with its authority and the same certificate.
    shared = {name: value for name, value in target.options.items() if target.tls and name.startswith("ssl_")}
    own = _options(limits) | shared | target.sentinel_options | tls
    make: Callable[..., Sentinel] = Sentinel
    sentinel = make(target.hosts, sentinel_kwargs=own, **options, **tls)
    return OneServer(sentinel.master_for(target.service), limits, sentinel)


def _options(limits: Limits) -> dict[str, Any]:
    return {
        "socket_timeout": limits.deadline,
        "socket_connect_timeout": limits.deadline,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "poplar",
        "protocol": 2,
    }
