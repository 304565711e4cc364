"""The POP3 front end: use cases over stores, bounds and announcements, as every connection shares them.

Owns which setting bounds what. Refuses to know the protocol.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from service.app.bearer import open_bearer, pop3_offer
from service.app.clock import SystemClock
from service.app.databases import open_uses
from service.app.directories import open_accounts
from service.app.fair import TELL_EVERY, HeavyTenants, Shares, most_of
from service.app.guarding import Judging, open_guard, shared_attempts
from service.app.hashing import open_scram, open_verification
from service.app.identity import this_process
from service.app.leasing import open_locks
from service.app.listening import Service
from service.app.observed import ObservedLocks, Outages, entered
from service.app.outage import ignored, open_reading, through_outages
from service.app.shared import MEASURE_EVERY, Shared
from service.mail.again import Again
from service.mail.allowances import Places
from service.mail.budget import Budget
from service.mail.fairness import Fairness
from service.mail.leases import Leases
from service.mail.login import Login
from service.mail.ports import Directory, MessageIndex
from service.mail.prefetch import Limits
from service.mail.retrieval import Resumption, Retrieval
from service.mail.update import Update
from service.mail.verification import Verification
from service.model.policy import Announced
from service.model.refusal import Refusal
from service.net.pop3 import Pop3Connection
from service.net.pop3_service import Pop3Options, Pop3Service
from service.settings import Settings
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.owners import PostgresDomainOwners
from service.stores.postgres.reopening import PostgresReopening
from service.stores.redis import RedisAllowances, RedisEntrance, RedisMaildropLocks
from service.telemetry import metrics, sharing, watching

ANNOUNCEMENTS_EVERY = 60.0
FIRST_SECONDS = 2.0
MEMORY_PATIENCE = 2 / 3
"""Part of `object_store.first_octets` for which RETR and TOP wait for memory; the store has what is left."""


@asynccontextmanager
async def pop3_service(shared: Shared, context: ssl.SSLContext | None) -> AsyncIterator[Service]:
    """POP3 connections, with their leases kept until the block ends."""
    settings, shares = shared.settings, Shares.of(shared.settings)
    async with (
        shared.database("front", shares.database) as database,
        open_locks(settings) as redis,
        open_guard(settings, redis, judging := Judging()) as guard,
        open_verification(settings.hashing, database, shares.hashing) as verification,
        open_accounts(settings, database) as (directory, vouching),
        open_scram(settings, database, directory) as scram,
        open_uses(database) as uses,
        open_bearer(settings.oauth, database, shared.tasks) as (bearer, tokens),
        open_reading(settings.outage, index := PostgresMessageIndex(database), redis.servers) as reading,
    ):
        locks = ObservedLocks(redis)
        allowances = RedisAllowances(redis.servers, lease_seconds=settings.redis.lease_seconds, observer=watching)
        leases = _leases(shared, locks, index, allowances)
        again = _again(settings, redis, PostgresReopening(database), verification, judging)
        beside = (SystemClock(), this_process(), scram, uses, vouching, guard, bearer, reading, again)
        login = Login(through_outages(directory, reading, verification), verification, locks, index, leases, *beside)
        announcements = await _announcements(shared, directory)
        fairness = shares.fairness(PostgresDomainOwners(database))
        ahead, memory, listings = _budgets(shared, shares, fairness)
        retrieval, spare = _retrievals(shared, shares, memory)
        service = Pop3Service(
            login,
            Update(index, leases, reading.memory.forget if reading else ignored),
            *(index, retrieval, allowances, ahead, memory, listings),
            announced=lambda: announcements.latest,
            tls=context,
            options=pop3_options(settings),
            scram=replace(scram.challenges, guard=guard) if scram else None,
            events=shared.events,
            spare=spare,
            fairness=fairness,
            offer=pop3_offer(settings, tokens, scram=scram is not None),
            listed=reading.listed if reading else ignored,
            tracer=shared.tracer,
        )
        yield Service(partial(Pop3Connection, service), context, fairness.tenant_of)
        await leases.finish()


def _again(
    settings: Settings,
    redis: RedisMaildropLocks,
    reopening: PostgresReopening,
    verification: Verification,
    judging: Judging,
) -> Again | None:
    """Logins like the last one, or None where each goes the long way."""
    # What is remembered for outages is noted at each login, which therefore takes all its steps.
    if settings.outage.read_only:
        return None
    entrance = RedisEntrance(redis, shared_attempts(settings, redis), watching)
    return Again(reopening, entrance, verification.verdicts, told=entered(judging))


async def _announcements(shared: Shared, directory: Directory) -> "Announcements":
    announcements = Announcements(directory)
    await announcements.first()
    shared.tasks.every("announcements", ANNOUNCEMENTS_EVERY, announcements.refresh)
    return announcements


class Announcements:
    """What CAPA announces before login, as last read; while the directory is away, what it said before."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._outages = Outages("directory")
        self.latest = Announced()

    async def first(self) -> None:
        """Read it for the first time, but start without it rather than late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self.refresh()

    async def refresh(self) -> None:
        """Read it again; a directory that can't be reached changes nothing, but is told of once."""
        try:
            self.latest = await self._directory.announced()
        except Refusal as refusal:
            self._outages.report(refusal)
        else:
            self._outages.report(None)


def pop3_options(settings: Settings) -> Pop3Options:
    """How connections behave."""
    return Pop3Options(
        autologout=settings.deadlines.autologout,
        stall=settings.deadlines.stall,
        handshake=settings.deadlines.handshake,
        failure_delay=settings.pop3.failure_delay,
        buffered=settings.limits.session_octets,
        login_failures=settings.limits.login_failures,
        utf8_listed=settings.pop3.list_utf8,
        implementation=settings.pop3.implementation,
    )


def _leases(shared: Shared, locks: ObservedLocks, index: MessageIndex, allowances: RedisAllowances) -> Leases:
    """The leases of this process and the places that go with them, kept until it ends."""
    every, places = shared.settings.redis.renew_every, Places(allowances)
    leases = Leases(locks, index, places)
    shared.tasks.start("places", lambda: places.keep(every, Outages("places").report))
    shared.tasks.start("places left", places.keep_giving_back)
    shared.tasks.start("leases", _keep(leases, every))
    shared.tasks.start("unreleased", leases.keep_releasing)
    return leases


def _retrievals(shared: Shared, shares: Shares, memory: Budget) -> tuple[Retrieval, Retrieval]:
    """What reads for clients that wait, and what reads ahead."""
    patience = shared.settings.object_store.first_octets
    resumption = Resumption(patience=patience, resumed=metrics.retrieval_resumed)
    waited_for, spare = shares.blobs(shared.blobs), shares.blobs(shared.blobs, spare=True)
    local = shared.settings.object_store.url.startswith("file:")
    return (
        Retrieval(waited_for, resumption, room=memory if local else None),
        Retrieval(spare, resumption, near=shared.blobs)
        if local
        else Retrieval(spare, resumption, begun=shares.begun(shared.blobs)),
    )


def _budgets(shared: Shared, shares: Shares, fairness: Fairness) -> tuple[Limits, Budget, Budget]:
    limits, most = shared.settings.limits, most_of(shared.settings)
    prefetch = Budget(limits.prefetch_process_octets, most=most)
    patience = shared.settings.object_store.first_octets * MEMORY_PATIENCE
    memory = Budget(limits.retrieval_octets, patience, most, resource="memory", told=sharing)
    listings = Budget(limits.listing_octets, most=most, resource="listings", told=sharing)

    async def measure() -> None:
        metrics.budget_used("prefetch", prefetch.used)
        metrics.budget_used("retrieval", memory.used)
        metrics.budget_used("listings", listings.used)

    heavy = HeavyTenants((*shares.all, memory.turns, listings.turns), fairness)
    shared.tasks.every("heavy tenants", TELL_EVERY, heavy.tell)
    shared.waiting.watch(*shares.all, shares.domains, memory.turns, listings.turns)
    shared.tasks.every("budgets", MEASURE_EVERY, measure)
    return Limits(limits.prefetch_session_octets, prefetch, used=metrics.prefetched), memory, listings


def _keep(leases: Leases, every: float) -> Callable[[], Awaitable[None]]:
    outages = Outages("leases")

    def report(refusal: Refusal | None) -> None:
        metrics.leases_held(len(leases))
        outages.report(refusal)

    return lambda: leases.keep(every, report)
