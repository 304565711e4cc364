"""The cluster's programs as children, each with its log, ended in reverse order.

Owns how one is started and when it counts as started. Refuses to know what it does.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.embedded.process import await_ready, dying_with_parent, spawn, stop, tail
from tests.cluster.place import ADDRESS, KUBECONFIG, RUN
from tests.helm.programs import kubectl

SECONDS = 180.0
Command = Sequence[str | Path]


class ClusterError(Exception):
    """The cluster does not stand; the text says why, in plain words."""


def say(text: str) -> None:
    """A line at once, for who looks on."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}\n")
    sys.stdout.flush()


@contextmanager
def server(command: Command, ready: Callable[[], bool], grace: float = 20.0) -> Iterator[None]:
    """The program, ready. Raises ClusterError with the end of its log."""
    name = Path(command[0]).name
    log = RUN / f"{name}.log"
    say(f"{name} ...")
    process = spawn(dying_with_parent([str(part) for part in command], signal.SIGTERM), RUN, log)
    try:
        if not await_ready(process, ready, SECONDS, 0.2):
            raise ClusterError(f"{name} did not start. Its log, {log}, ends:\n{tail(log, 25)}")
        yield
    finally:
        stop(process, signal.SIGTERM, grace)


def listens(port: int) -> bool:
    """Whether anybody takes connections to ADDRESS there."""
    try:
        socket.create_connection((ADDRESS, port), timeout=2).close()
    except OSError:
        return False
    return True


def asked(*arguments: str) -> str:
    """What kubectl says, errors as well."""
    command = [str(kubectl()), f"--kubeconfig={KUBECONFIG}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr
