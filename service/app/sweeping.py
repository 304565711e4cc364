"""`poplar sweep`: once, or again and again with metrics and health.

Owns the rhythm. Refuses to know what a sweep does; every step of one survives being ended in the middle.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from service.app.background import background
from service.app.blobs import make_blobs
from service.app.clock import SystemClock
from service.app.databases import open_database
from service.app.observed import Outages
from service.app.signals import Stop
from service.mail.sweep import Sweep, SweepReport, SweepRules, SweepTold
from service.model.refusal import Refusal
from service.model.tenancy import counted
from service.settings import Settings
from service.settings.behaviour import SweepSettings
from service.stores.postgres.sweep import PostgresSweepable
from service.telemetry import metrics
from service.telemetry.health import ops_app
from service.telemetry.logs import get_log
from service.telemetry.registries import own_registry
from service.telemetry.serving import serving

BACKLOG_EVERY = 60.0
"""Seconds between two counts of what is left to sweep, at most: a sweep that falls behind, or fails, doesn't end."""


async def sweep_once(settings: Settings) -> str:
    """What one sweep did, for a person. Raises Refusal(UNAVAILABLE)."""
    async with _sweep(settings) as sweep:
        return told(await sweep())


async def sweep_until_signal(settings: Settings) -> None:
    """Sweep every `sweep.interval` seconds; one that fails is told in the log and the next one tries again."""
    stop = Stop.on_signals()
    app = ops_app(lambda: "draining" if stop.asked else "ready", own_registry)
    async with serving(app, settings.http.host, settings.http.port) as url, _sweep(settings) as sweep:
        get_log("sweep").info("sweeping", http=url, interval=settings.sweep.interval)
        async with background() as tasks:
            tasks.start("sweep", lambda: _again_and_again(sweep, settings.sweep.interval))
            tasks.every("backlog", min(BACKLOG_EVERY, settings.sweep.interval), lambda: _measure(sweep))
            await stop.wait()


async def _again_and_again(sweep: Sweep, interval: float) -> None:
    outages = Outages("sweep")
    while True:
        try:
            _count(await sweep())
        except Refusal as refusal:
            outages.report(refusal)
        else:
            outages.report(None)
        await asyncio.sleep(interval)


async def _measure(sweep: Sweep) -> None:
    # While Postgres is away nothing can be counted; the sweep says so itself.
    with contextlib.suppress(Refusal):
        metrics.sweep_backlog(await sweep.backlog())


def _count(report: SweepReport) -> None:
    metrics.sweep_backlog(report.backlog)
    metrics.sweep_ended(time.time())
    get_log("sweep").info(
        "swept",
        expired=report.expired,
        messages=report.messages,
        blobs=report.blobs,
        orphans=report.orphans,
        backlog=report.backlog,
        audit=report.audit,
    )
    if report.strangers:
        get_log("sweep").warning("left mail of unknown tenants", tenants=report.strangers)


def told(report: SweepReport) -> str:
    """What a sweep did, in lines for a person."""
    unknown = f"{counted(report.strangers, 'tenant')} that this database doesn't know"
    return (
        f"removed {report.expired} messages whose maildrop's retention was over\n"
        f"deleted {report.messages} removed messages and {report.blobs} of their blobs for good\n"
        f"deleted {report.orphans} blobs that no message names\n"
        f"deleted {report.audit} entries of the audit\n"
        f"{report.backlog} removed messages are past their retention and left"
    ) + (f"\nleft alone what the store holds of {unknown}: see `poplar doctor`" if report.strangers else "")


@asynccontextmanager
async def _sweep(settings: Settings) -> AsyncIterator[Sweep]:
    blobs = make_blobs(settings.object_store)
    async with open_database(settings.database, "sweep") as database:
        rows, rules = PostgresSweepable(database), sweep_rules(settings.sweep)
        yield Sweep(rows, blobs, SystemClock(), rules, SweepTold(metrics.swept, _say_what_stays))


def _say_what_stays(key: str, refusal: Refusal) -> None:
    get_log("sweep").warning("blob not deleted", blob=key, cause=refusal.cause)


def sweep_rules(settings: SweepSettings) -> SweepRules:
    """When a sweep deletes what."""
    return SweepRules(
        removed_retention=timedelta(days=settings.removed_retention_days),
        orphan_age=timedelta(hours=settings.orphan_hours),
        batch=settings.batch,
        audit_retention=timedelta(days=settings.audit_retention_days) if settings.audit_retention_days else None,
    )
