"""Shuts out everything that is not of the seed: clocks, randomness, garbage collection, the seed of `hash`.

Owns what is replaced while a schedule runs. Messages count as large from a few KiB on, so that schedules stay short.
"""

import asyncio
import gc
import logging
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import structlog

from service.net.deadline import Wheel
from tests.simulation.loop import PROCESS

SMALL = {
    "service.model.beginnings.PART_OCTETS": 4096,
    "service.mail.retrieval.WHOLE_OCTETS": 4096,
    "service.mail.prefetch.WHOLE_OCTETS": 4096,
    "service.net.pop3_retrieving.WHOLE_OCTETS": 4096,
    "service.mail.retrieval.DIGEST_SLICE": 1024,
    "service.mail.delivery.HELD_OCTETS": 2048,
    "service.net.outlet.SLICE": 2048,
    "service.stores.memory.blobs.PIECE": 1500,
}


@contextmanager
def small() -> Iterator[None]:
    """Have few octets be many, for any number of schedules."""
    with ExitStack() as stack:
        for name, octets in SMALL.items():
            stack.enter_context(mock.patch(name, octets))
        stack.enter_context(mock.patch("service.mail.whose.hash", lambda text: zlib.crc32(text.encode()), create=True))
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            gc.unfreeze()


@contextmanager
def closed(seed: int, clock: Callable[[], float], faults: list[str]) -> Iterator[None]:
    """Let one schedule see nothing but its seed and its clock; `faults` are told what the log calls one."""
    dice = random.Random(seed)
    wheels: dict[object, Wheel] = {}

    def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
        # Each process has one of its own, which stops with it.
        return wheels.setdefault(PROCESS.get(), Wheel(loop))

    def heard(_logger: object, method: str, values: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if values["event"] == "fault" or method in ("error", "critical", "exception"):
            faults.append(f"{values['event']}: {values.get('exc_info')!r}")
        raise structlog.DropEvent

    with ExitStack() as stack:
        for name in ("time.monotonic", "time.perf_counter"):
            stack.enter_context(mock.patch(name, clock))
        stack.enter_context(mock.patch("service.net.deadline.wheel_of", wheel_of))
        stack.enter_context(mock.patch("secrets._sysrand", dice))
        stack.enter_context(mock.patch("os.urandom", dice.randbytes))
        before = structlog.get_config()
        structlog.configure(processors=[heard], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        try:
            yield
        finally:
            structlog.configure(**before)
