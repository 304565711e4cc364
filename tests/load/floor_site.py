"""The floor of `floor.py` as a server to be measured, over the same systems and maildrops as Poplar.

Owns its processes. Refuses to know what they do.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.embedded.certificate import certificate_files
from service.embedded.process import free_port, stop
from tests.load.poplar_site import Backends
from tests.load.target import Target
from tests.load.works import Work

PROCESSES = 2
"""As many as Poplar has where rates are compared."""
START_SECONDS = 20.0


def does(work: Work) -> bool:
    """Whether it answers what this work asks: polls with STAT, and greetings."""
    return work.beside == "Dovecot" and work.options["mode"] in {"poll", "hello"} and "ask" not in work.options


@contextmanager
def floor(behind: Backends) -> Iterator[Target]:
    """Two of them on the same ports, ready."""
    ports = {"pop3": free_port(), "pop3s": free_port()}
    redis, pair = urlsplit(behind.redis), certificate_files(behind.folder / "tls").folder
    settings = {
        "dsn": behind.dsn,
        "redis": (redis.hostname, redis.port),
        "secret": redis.password,
        "certificate": str(pair / "default.crt"),
        "key": str(pair / "default.key"),
        **ports,
    }
    with ExitStack() as stack:
        logs = [behind.folder / f"floor-{number}.log" for number in range(PROCESSES)]
        pids = [stack.enter_context(_process(settings, log)) for log in logs]
        components = {f"floor {number}": pid for number, pid in enumerate(pids)}
        yield Target("Floor", ports, behind.components | components, behind.furnish, behind.restore)


@contextmanager
def _process(settings: dict[str, Any], log: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.load.floor"]
    with (
        log.open("wb") as told,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, stderr=told) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings).encode())
        process.stdin.close()
        try:
            _await_serving(process, log)
            yield process.pid
        finally:
            stop(process, signal.SIGTERM, grace=10)


def _await_serving(process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if log.read_text("utf-8").startswith("serving"):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))
