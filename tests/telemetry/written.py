"""The lines of the log that a test wrote, as JSON.

Owns the log's set-up for a test, and that nothing of it stays.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from service.telemetry.logs import configure

Lines = Callable[[], list[dict[str, object]]]


@contextmanager
def lines_written() -> Iterator[Lines]:
    """What gives the lines written since the block began."""
    stream = io.StringIO()
    handlers = logging.getLogger().handlers[:]
    configure("json", "info", stream)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers[:] = handlers


def members(**facts: str | float) -> str:
    """A line's members that say this, of which no text comes from outside."""
    return json.dumps(facts, separators=(",", ":"))[1:-1]
