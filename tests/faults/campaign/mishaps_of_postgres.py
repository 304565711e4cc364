"""Postgres stopped, crashed, failed over, busy, silent, or its answers lost. F5, F6, F9."""

import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.faults.campaign.harms import AnswerLost, Cut, Silent, Slow
from tests.faults.campaign.house import House
from tests.faults.campaign.mishaps import Happen, Mishap, Touched, on_every_way

END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'poplar' AND pid <> pg_backend_pid()"
)
HELD = "LOCK TABLE maildrops, messages IN ACCESS EXCLUSIVE MODE"


def down(how: signal.Signals) -> Happen:
    """The primary ends, and comes back where it was; nobody takes its place."""

    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        primary = house.cluster.primary
        if how is signal.SIGKILL:
            await primary.kill()
        else:
            primary.process.send_signal(how)
            await house.cluster.gone(primary)
        try:
            yield ("postgres",)
        finally:
            await house.cluster.restart_primary()
            await house.cluster.in_step()

    return happen


@asynccontextmanager
async def failed_over(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """The primary dies and its standby takes over; a new one follows it in the end."""
    await house.cluster.fail_over()
    yield ("postgres",)
    await house.cluster.follow()


@asynccontextmanager
async def silent_then_failed_over(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """The primary hangs; then it is fenced, and its standby takes over."""
    house.cluster.primary.pause()
    yield ("postgres",)
    await house.cluster.fail_over()
    await house.cluster.follow()


@asynccontextmanager
async def hanging(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    primary = house.cluster.primary
    primary.pause()
    try:
        yield ("postgres",)
    finally:
        primary.go_on()


@asynccontextmanager
async def standby_hanging(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """Nothing that is written is answered meanwhile, since the standby can't say that it has it."""
    standby = house.cluster.standby
    assert standby is not None
    standby.pause()
    try:
        yield ("postgres",)
    finally:
        standby.go_on()


@asynccontextmanager
async def pool_exhausted(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """Somebody locks the tables: every connection waits, and nobody gets another."""
    connection = await asyncpg.connect(house.cluster.dsn(), timeout=30)
    try:
        async with connection.transaction():
            await connection.execute(HELD, timeout=60)
            yield ("postgres",)
    finally:
        await connection.close()


@asynccontextmanager
async def connections_ended(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    await house.cluster.say(END_CONNECTIONS)
    yield ("postgres",)


def answers_lost() -> AnswerLost:
    return AnswerLost(silent=False)


def answers_awaited() -> AnswerLost:
    return AnswerLost(silent=True)


MISHAPS = (
    Mishap("Postgres stopped", down(signal.SIGINT), "postgres", (1.0, 15.0)),
    Mishap("Postgres killed", down(signal.SIGKILL), "postgres", (1.0, 15.0)),
    Mishap("Postgres failed over", failed_over, "postgres"),
    Mishap("Postgres silent, then failed over", silent_then_failed_over, "postgres", (1.0, 12.0)),
    Mishap("Postgres silent", hanging, "postgres", (2.0, 20.0)),
    Mishap("standby silent", standby_hanging, "postgres", (2.0, 15.0)),
    Mishap("pool exhausted", pool_exhausted, "postgres", (2.0, 15.0)),
    Mishap("connections to Postgres ended", connections_ended, "postgres"),
    Mishap("COMMIT's answer lost", on_every_way("postgres", answers_lost), "ways", (1.0, 4.0)),
    Mishap("COMMIT's answer never comes", on_every_way("postgres", answers_awaited), "ways", (2.0, 9.0)),
    Mishap("Postgres cut off", on_every_way("postgres", Cut), "ways"),
    Mishap("Postgres out of reach", on_every_way("postgres", Silent), "ways", (2.0, 15.0)),
    Mishap("Postgres slow", on_every_way("postgres", lambda: Slow(0.3)), "ways"),
)
