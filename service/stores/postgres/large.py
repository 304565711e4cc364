"""More time for what touches many rows: a statement's, or that of the transaction under way.

Owns how long so many rows may take. Refuses to know what is done with them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service.stores.postgres.pool import Connection

ROWS_A_SECOND = 5_000
"""A removal of a million messages takes a minute on two cores; a busy server may take three times as long."""
SPARE = 100.0
"""Seconds that the server leaves a statement beyond that, before it ends one that nobody waits for."""
_LIMIT: ContextVar[asyncio.Timeout | None] = ContextVar("limit", default=None)
"""What ends the transaction under way in this context."""


def seconds_for(rows: int) -> float:
    """What so many rows may take beyond the deadline."""
    return rows / ROWS_A_SECOND


@contextmanager
def prolongable(limit: asyncio.Timeout) -> Iterator[None]:
    """Let `take_time` put `limit` off in the block."""
    before = _LIMIT.get()
    _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.set(before)


async def take_time(connection: Connection, rows: int) -> None:
    """Give the transaction of `connection` the time that so many rows may take, from now on."""
    more, limit = seconds_for(rows), _LIMIT.get()
    if more < 1 or limit is None:
        return
    when = limit.when()
    if when is not None:
        limit.reschedule(when + more)
    # Local to the transaction: the connection goes back as it was.
    await connection.execute("SELECT set_config('statement_timeout', $1, true)", f"{int(1000 * (more + SPARE))}")
