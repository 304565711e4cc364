"""Server programs as children: started, watched while they start, stopped, never left behind.

Owns what every embedded server needs: a free port, a log file, an end bound to this process's own
(even to its `kill -9`), a bounded stop. Refuses to know which program it runs.
Start children from the main thread: Linux sends the death signal when the starting *thread* ends.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_GRACE = 15.0


class EmbeddedError(Exception):
    """An embedded server could not be started; the text says why and what to do, in plain words."""


_TRIES = 1_000
_given: set[int] = set()
"""Ports that this process was given: the system gives one again as soon as nobody listens there."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listened on a moment ago, another one each time; another process may take it meanwhile.

    Raises EmbeddedError if there is hardly one left.
    """
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind((host, 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port
    raise EmbeddedError("there is hardly a free TCP port left that this process wasn't given already")


def is_root() -> bool:
    """Whether this process runs as root, which Postgres refuses to do."""
    return os.geteuid() == 0


def setpriv() -> str | None:
    """The program that sets privileges and the death signal (util-linux), where there is one."""
    return shutil.which("setpriv") if sys.platform == "linux" else None


def dying_with_parent(command: Sequence[str], death: signal.Signals) -> list[str]:
    """`command`, wrapped so that it receives `death` when this process ends in whatever way.

    Where setpriv is missing the command is returned as it is: only an orderly end stops the child.
    """
    program = setpriv()
    # setpriv knows signals by their short names.
    return [program, "--pdeathsig", death.name.removeprefix("SIG"), *command] if program else list(command)


def spawn(command: Sequence[str], directory: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start `command` in a session of its own, its output appended to `log`.

    A session of its own keeps Ctrl-C away from it: who started it decides when it stops.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def await_ready(
    process: "subprocess.Popen[bytes]", ready: Callable[[], bool], seconds: float, interval: float = 0.02
) -> bool:
    """Whether `ready()` came true within `seconds`; False too once the process has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if ready():
            return True
        time.sleep(interval)
    return False


def stop(process: "subprocess.Popen[bytes]", how: signal.Signals, grace: float = STOP_GRACE) -> None:
    """Ask with `how`, wait at most `grace` seconds, then insist. Harmless when it has ended already."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error's text."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
