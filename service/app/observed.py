"""Counts what the use cases do to leases, which must not know of metrics themselves.

Owns the wrapping. Refuses to change any outcome.
"""

import time
from collections.abc import Callable, Sequence

from service.mail.ports import Lease, MaildropLocks, Renewal
from service.model.refusal import Refusal
from service.telemetry import metrics
from service.telemetry.logs import get_log


class ObservedLocks:
    """Implements `mail.ports.MaildropLocks` over another one."""

    def __init__(self, locks: MaildropLocks) -> None:
        self._locks = locks
        # These aren't counted, and needn't go through here.
        self.release, self.seize = locks.release, locks.seize
        self.may_log_in, self.holders, self.evict = locks.may_log_in, locks.holders, locks.evict

    async def acquire(self, lease: Lease) -> bool:
        """As the port says; timed, by outcome."""
        started = time.monotonic()
        outcome = "unavailable"
        try:
            free = await self._locks.acquire(lease)
            outcome = "acquired" if free else "in_use"
            return free
        finally:
            metrics.locks[outcome](time.monotonic() - started)

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """As the port says; the lost ones are counted."""
        renewal = await self._locks.renew(leases)
        metrics.leases_lost(len(renewal.lost))
        return renewal


def entered(judging: Callable[[bool], None]) -> Callable[[float, bool], None]:
    """Counts the lease of a login like the last one; `judging` hears where the shared scores judged it."""

    def told(seconds: float, judged: bool) -> None:
        metrics.locks["acquired"](seconds)
        if judged:
            judging(True)

    return told


class Outages:
    """Says once that something went away, and once that it came back."""

    def __init__(self, what: str) -> None:
        self._log = get_log(what)
        self.out = False
        """Whether it is away, as far as was reported."""

    def report(self, refusal: Refusal | None) -> None:
        """Hear of one more attempt: None if it went well."""
        was_out, self.out = self.out, refusal is not None
        if refusal is not None and not was_out:
            self._log.error("unavailable", cause=refusal.cause)
        elif refusal is None and was_out:
            self._log.info("available again")
