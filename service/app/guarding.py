"""The guard before logins, out of the settings, and what it tells the log and the metrics.

Owns which networks are balancers: those whose PROXY header some listener believes. Refuses to count and to judge.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from service.app.clock import SystemClock
from service.app.leasing import open_locks
from service.app.observed import Outages
from service.app.provisioning import patient_database
from service.mail.attempts import Counted, Standby
from service.mail.blocks import Block, Blocks
from service.mail.counting import Rules
from service.mail.guard import Guard
from service.mail.provisioning import Office
from service.model.attempts import Kind, Limit, Verdict
from service.model.refusal import Reason, Refusal
from service.settings import Settings
from service.settings.abuse import AbuseSettings
from service.stores.memory.attempts import MemoryAttempts
from service.stores.postgres.units import PostgresUnits
from service.stores.redis import RedisAttempts, RedisMaildropLocks
from service.telemetry import guarding, watching
from service.telemetry.logs import get_log

FEW = frozenset({Kind.ACCOUNT, Kind.TENANT})
"""Of which a block says that an attack comes from many addresses: somebody should look."""


def rules_of(settings: Settings) -> Rules:
    """The rules, in the words of `mail`."""
    abuse = settings.abuse
    if not abuse.enabled:
        return Rules()
    return Rules(
        limits=limits_of(abuse),
        longest_delay=abuse.longest_delay,
        remember=abuse.remember_days * 86_400,
        exempt=abuse.exempt,
        proxies=tuple({network for listener in settings.listeners for network in listener.trusted}),
    )


def limits_of(abuse: AbuseSettings) -> Mapping[Kind, Limit]:
    """The limits of each counter."""
    return {kind: Limit(*abuse.limits(kind.value)) for kind in Kind}


def shared_attempts(settings: Settings, locks: RedisMaildropLocks) -> RedisAttempts:
    """The scores of all front ends, in the pipelines of the leases."""
    return RedisAttempts(locks.servers, half_life=settings.abuse.half_life, observer=watching)


def blocks_of(settings: Settings, locks: RedisMaildropLocks) -> Blocks:
    """Who is held back, for staff."""
    return Blocks(shared_attempts(settings, locks), rules_of(settings), settings.abuse.half_life)


async def blocks(settings: Settings) -> Sequence[Block]:
    """Who is held back, by the counters of all front ends. Raises Refusal(UNAVAILABLE)."""
    async with open_locks(settings) as locks:
        return await blocks_of(settings, locks).every()


async def clear_block(settings: Settings, actor: str, whom: str) -> int:
    """Forget the wrong passwords of `whom`, as `actor`. Raises Refusal: INVALID, NOT_FOUND, UNAVAILABLE."""
    async with (
        patient_database(settings.database) as database,
        open_locks(settings) as locks,
        PostgresUnits(database).open(None) as unit,
    ):
        return await blocks_of(settings, locks).clear(Office(unit.tenancy, actor), whom)


@asynccontextmanager
async def open_guard(
    settings: Settings, locks: RedisMaildropLocks, judged: Callable[[bool], None] | None = None
) -> AsyncIterator[Guard]:
    """The guard of this process, over the shared scores and, while those are away, its own: which, `judged` hears."""
    own = MemoryAttempts(SystemClock(), settings.abuse.half_life)
    attempts = Standby(shared_attempts(settings, locks), own, judged or Judging())
    guard = Guard(attempts, rules_of(settings), Told())
    try:
        yield guard
    finally:
        await guard.close()


def staff_guard(settings: Settings, locks: RedisMaildropLocks) -> Guard:
    """One that is only asked how a login would be met, by the scores of all front ends. It may raise UNAVAILABLE."""
    return Guard(shared_attempts(settings, locks), rules_of(settings))


class Told:
    """Implements `mail.guard.Watcher`: counts everything, and says who begins to be refused."""

    def __init__(self) -> None:
        self._log = get_log("abuse")

    def held_back(self, verdict: Verdict) -> None:
        """Count it; the refused login's own line says why."""
        if verdict.by is not None:
            how = "closed" if verdict.closes else "refused" if verdict.refused else "delayed"
            guarding.held_back(verdict.by.subject.kind.value, how)

    def counted(self, how: str, limits: Mapping[Kind, Limit], counted: Sequence[Counted], real: bool) -> None:
        """Count it, and say so where it was one too many."""
        guarding.failure_counted(how)
        for each in counted:
            limit = limits.get(each.subject.kind, Limit())
            if limit.refuses(each.after) and not limit.refuses(each.before):
                self._begins(each, real)

    def _begins(self, counted: Counted, real: bool) -> None:
        kind = counted.subject.kind
        guarding.block_begun(kind.value)
        tell = self._log.warning if kind in FEW else self._log.info
        # A name that is nobody's may be a password, typed into the wrong field (G17).
        nobody = kind in {Kind.PAIR, Kind.ACCOUNT} and not real
        tell(
            "refuses logins",
            by=kind.value,
            whom=None if nobody else counted.subject.name,
            failures=round(counted.after),
        )


class Judging:
    """Hears of each login by which scores it was judged."""

    def __init__(self) -> None:
        self._outages = Outages("abuse")

    def __call__(self, shared: bool) -> None:
        """Count it, and say so where the shared ones went away or came back."""
        guarding.judged[shared](1)
        if not shared:
            self._outages.report(Refusal(Reason.UNAVAILABLE, "the shared counters can't be reached"))
        elif self._outages.out:
            self._outages.report(None)
