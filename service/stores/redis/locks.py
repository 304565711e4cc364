"""Maildrop leases in Redis.

Owns the lease's life: taken, renewed with all others of this process, released, taken away by staff.
A lease shows itself by a random token, so that a late release or renewal can't touch a later session's.
Refuses to decide whether a session may remove messages: the fence in the index does (G4).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from service.mail.ports import LEASE_SECONDS, Holder, Lease, Renewal
from service.model.account import MaildropKey
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.batch import Batcher, Limits
from service.stores.redis.errors import kind_of
from service.stores.redis.keys import (
    SESSIONS,
    delay_key,
    entry,
    lease_keys,
    lock_key,
    parse_entry,
    parse_session_key,
    session_key,
)
from service.stores.redis.renewals import Answer, Renewals
from service.stores.redis.scripts import ACQUIRE, EVICT, MAY_LOG_IN, RELEASE, RENEW, SEIZE, Command, Script, Word
from service.stores.redis.servers import PING, Servers, connect
from service.stores.redis.urls import parse_target

EVICTED = "evicted"
"""What stands before the token of an evicted holder; no token begins so."""
STAFF_SECONDS = 30.0
TRIALS = 64
"""How often chance may miss, for each server."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What `poplar doctor` tells of the server; `warnings` are whole sentences for a person."""

    version: str
    mode: str
    warnings: tuple[str, ...] = ()


class RedisMaildropLocks:
    """Implements `mail.ports.MaildropLocks`. A command is answered or refused within `limits.deadline` seconds.

    A release may wait for a renewal of its lease besides, and `holders` walks all keys.
    """

    def __init__(
        self,
        url: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        limits: Limits | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._servers = connect(parse_target(url), self._limits)
        self._milliseconds = round(lease_seconds * 1000)
        self._calls = Calls("redis", observer or Unobserved(), kind_of)
        self._renewals = Renewals(self._extend, self._take, self._limits.batch * self._limits.connections)
        self._abandoned: set[asyncio.Task[object]] = set()

    @property
    def servers(self) -> Servers:
        """The servers it uses, for whoever's commands are to travel in the same pipelines."""
        return self._servers

    async def acquire(self, lease: Lease) -> bool:
        """Whether the maildrop was free, or held under this token already, and is now held under it."""
        with self._calls.observed("acquire"):
            try:
                return await self._take(lease) == 1
            except asyncio.CancelledError:
                # Nobody is left to release what the server may grant yet.
                self.abandon(lease)
                raise

    async def release(self, lease: Lease) -> bool:
        """Free the maildrop if `lease.token` still holds it, or was evicted from it; whether it was so."""
        with self._calls.observed("release"):
            if (renewal := self._renewals.leave(lease)) is not None:
                await asyncio.wait({renewal})
            return await self._release(lease) == 1

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Extend all, thousands in one turn; those that another token holds now are lost.

        Raises Refusal(UNAVAILABLE) if no lease at all could be asked for; one that couldn't is not lost.
        """
        with self._calls.observed("renew"):
            return await self._renewals.renew(leases)

    async def seize(self, lease: Lease) -> bool:
        """Take the maildrop from whoever holds it; False where staff evicted the holder."""
        with self._calls.observed("seize"):
            words = (lease.token, self._milliseconds, entry(lease.holder), EVICTED)
            try:
                return await self._run(SEIZE, lease.key, *words) == 1
            except asyncio.CancelledError:
                self.abandon(lease)
                raise

    async def may_log_in(self, key: MaildropKey, delay: int, burst: int) -> bool:
        """Whether fewer than `burst` logins are in the bucket, which loses one in `delay` seconds; puts this one in."""
        if delay <= 0:
            return True
        with self._calls.observed("may_log_in"):
            return await self._servers.submit(MAY_LOG_IN.on((delay_key(key),), delay * 1000, burst)) == 1

    async def holders(self) -> Sequence[Holder]:
        """The live sessions, oldest first. Walks all keys: for staff, not for sessions."""
        return [holder for _, holder in await self._held()]

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds this maildrop."""
        with self._calls.observed("holder"):
            return parse_entry(await self._servers.submit(("GET", session_key(key))))

    async def held_as(self, address: str) -> Sequence[tuple[MaildropKey, Holder]]:
        """Who holds maildrops that have this address, or had it, oldest first. Walks all keys."""
        held = [(parse_session_key(name), holder) for name, holder in await self._held() if holder.address == address]
        return [(key, holder) for key, holder in held if key is not None]

    async def evict(self, key: MaildropKey) -> bool:
        """Make the holder lose its lease at its next renewal; False if nobody held it.

        Nobody else gets the maildrop until the holder released it, or its lease ran out, as it would have without this
        (G6). A renewal that comes later than that still finds it lost, for as long as a lease.
        """
        with self._calls.observed("evict"):
            return await self._run(EVICT, key, EVICTED, self._milliseconds) == 1

    async def ping(self) -> None:
        """Returns once the server has answered. Raises Refusal(UNAVAILABLE)."""
        with self._calls.observed("ping"):
            await self._servers.keeping("ping").submit(PING)

    async def facts(self) -> Facts:
        """What the server says of itself, for `poplar doctor`."""
        with self._calls.observed("facts"):
            async with asyncio.timeout(self._limits.deadline):
                return _facts(await self._servers.info("server"), await self._servers.info("memory"))

    async def try_out(self) -> None:
        """Take a lease that nobody asks for on each server, and give it back. Raises Refusal(UNAVAILABLE)."""
        with self._calls.observed("facts"):
            async with asyncio.timeout(self._limits.deadline):
                servers = len(await self._servers.info("server"))
        for lease in self._trials(servers):
            await self.acquire(lease)
            await self.release(lease)

    async def aclose(self) -> None:
        """Give back what was abandoned and close every connection."""
        await asyncio.gather(*self._abandoned, return_exceptions=True)
        await self._servers.aclose()

    async def _held(self) -> Sequence[tuple[str, Holder]]:
        """The name of the entry and what it says, oldest first."""
        with self._calls.observed("holders"):
            async with asyncio.timeout(STAFF_SECONDS):
                keys = sorted({key.decode() async for key in self._servers.scan(SESSIONS)})
                entries = [each for page in _pages(keys, self._limits.batch) for each in await self._entries(page)]
        held = [(key, holder) for key, each in zip(keys, entries, strict=True) if (holder := parse_entry(each))]
        return sorted(held, key=lambda each: each[1].since)

    async def _entries(self, keys: Sequence[str]) -> list[object]:
        # A cluster keeps them on different nodes, so each is asked for by itself, in shared pipelines.
        return await asyncio.gather(*(self._servers.submit(("GET", key)) for key in keys))

    def acquiring(self, lease: Lease) -> Command:
        """The command that `acquire` sends."""
        return ACQUIRE.on(lease_keys(lease.key), lease.token, self._milliseconds, entry(lease.holder))

    def abandon(self, lease: Lease) -> None:
        """Whoever asked for it waits no longer: what the server may grant yet is to be given back."""
        task = asyncio.get_running_loop().create_task(self._give_back(lease))
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _trials(self, servers: int) -> Sequence[Lease]:
        """A lease for each server; chance decides where a maildrop is kept."""
        found: dict[Batcher, Lease] = {}
        for _ in range(TRIALS * servers):
            lease = Lease(MaildropKey(uuid4(), uuid4()), uuid4().hex, _nobody())
            found.setdefault(self._servers.keeping(lock_key(lease.key)), lease)
            if len(found) == servers:
                break
        return list(found.values())

    def _take(self, lease: Lease) -> Answer:
        return self._servers.submit(self.acquiring(lease))

    def _extend(self, lease: Lease) -> Answer:
        return self._run(RENEW, lease.key, lease.token, self._milliseconds, EVICTED)

    def _release(self, lease: Lease) -> Answer:
        token = lease.token
        return self._servers.submit(RELEASE.on(lease_keys(lease.key), token, EVICTED + token))

    def _run(self, script: Script, key: MaildropKey, *words: Word) -> Answer:
        """Run it on a maildrop's lease."""
        return self._servers.submit(script.on(lease_keys(key), *words))

    async def _give_back(self, lease: Lease) -> object:
        # On another connection a release could overtake what it is to undo.
        await self._servers.keeping(lock_key(lease.key)).landed()
        return await self._release(lease)

    def _forget(self, task: "asyncio.Task[object]") -> None:
        self._abandoned.discard(task)
        # Unless it is looked at, asyncio logs the failure; the lease then ends by itself.
        _ = task.cancelled() or task.exception()


def _nobody() -> Holder:
    return Holder("doctor", "", "", "", "", "doctor", datetime.now(UTC))


def _pages(keys: Sequence[str], at_once: int) -> list[Sequence[str]]:
    return [keys[begin : begin + at_once] for begin in range(0, len(keys), at_once)]


def _facts(servers: Sequence[dict[str, Any]], memories: Sequence[dict[str, Any]]) -> Facts:
    policies = sorted({str(memory.get("maxmemory_policy", "noeviction")) for memory in memories} - {"noeviction"})
    warnings = [
        f"maxmemory-policy is {policy}: a full Redis would drop maildrop leases. Set it to noeviction."
        for policy in policies
    ]
    server = servers[0]
    version = server.get("valkey_version") or server.get("redis_version") or "unknown"
    mode = server.get("server_mode") or server.get("redis_mode") or "unknown"
    return Facts(str(version), str(mode), tuple(warnings))
