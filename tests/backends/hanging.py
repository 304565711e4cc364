"""What a test that never ends was doing, and an end to it: a run of the tests must not be killed without a word.

pytest-timeout fails a test that is late once, by an exception. uvloop swallows it, and so does a busy asyncio loop
where it comes in a callback; and fixtures may then wait for what never comes: the test would stand for ever. Owns the
watch over that: after a while more, the process says on stderr where each thread and each asyncio task of it is, and
ends. The run ends with it, as pytest-xdist might wait for ever for a process in its place (its issues 1323, 1327):
hence --max-worker-restart=0 in the Makefile.
"""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Timer
from types import FrameType
from typing import TextIO

import pytest

from tests.backends.grouping import allowed

GRACE = 45.0
"""Seconds in which a test that was stopped may end."""


def watch(config: pytest.Config) -> None:
    """Look after the tests of a run by several processes, in this one."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Hanging())
    elif config.getoption("numprocesses", None):
        config.pluginmanager.register(Unfinished())


class Hanging:
    """A pytest plugin, for each process that runs tests."""

    def __init__(self) -> None:
        # While a test runs, its number is that of a file.
        self._stderr = os.fdopen(os.dup(2), "w", buffering=1)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        limit = limit_of(item)
        watch = Timer(limit + GRACE, give_up, (item.nodeid, self._stderr))
        watch.daemon = True
        if limit > 0:
            watch.start()
        try:
            return (yield)
        finally:
            watch.cancel()


class Unfinished:
    """A pytest plugin, for the process that hands tests out: told to end, it says what was being tested."""

    def __init__(self) -> None:
        self._begun: dict[str, None] = {}

    def pytest_sessionstart(self) -> None:
        signal.signal(signal.SIGTERM, self._tell)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._begun[nodeid] = None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._begun.pop(nodeid, None)

    def _tell(self, _signal: int, _frame: FrameType | None) -> None:
        sys.stderr.write("\n  ".join(["\nTold to end while these were tested:", *self._begun]) + "\n")
        sys.stderr.flush()
        raise KeyboardInterrupt


def limit_of(item: pytest.Item) -> float:
    """The seconds after which pytest-timeout stops it; 0 for never."""
    if own := allowed(item):
        return own
    given = item.config.getoption("timeout")
    return float(given if given is not None else item.config.getini("timeout") or 0)


def give_up(name: str, out: TextIO) -> None:
    """Say where everything is, and end the process."""
    out.write(f"\n{name} did not end though it was stopped.\n")
    faulthandler.dump_traceback(out)
    for task in [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]:
        with suppress(Exception):
            if not task.done():
                task.print_stack(file=out)
    out.flush()
    os._exit(1)
