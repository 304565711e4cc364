"""The real `poplar demo` as a program of its own, for tests of the whole.

Owns its start, its ready file and its end. A test that changes a maildrop asks for one of its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

START_SECONDS = 90.0
FREE_PORTS = ("--pop3", "0", "--pop3s", "0", "--lmtp", "0", "--http", "0")


@dataclass(frozen=True)
class Place:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Account:
    tenant: str
    address: str
    password: str


@dataclass(frozen=True)
class RunningDemo:
    """A running demo: `ready` is its ready file's content."""

    ready: dict[str, Any]
    state: Path
    process: "subprocess.Popen[bytes]"

    def place(self, name: str) -> Place:
        """Where `pop3`, `pop3s` or `lmtp` answers."""
        return Place(**self.ready[name])

    @property
    def ca_file(self) -> str:
        return str(self.ready["ca_file"])

    @property
    def accounts(self) -> list[Account]:
        return [Account(**account) for account in self.ready["accounts"]]

    def screen(self) -> str:
        """All that it has printed."""
        return (self.state / "screen.txt").read_text()

    def shell_lines(self) -> dict[str, str]:
        """The command lines on its screen, by their titles."""
        return dict(re.findall(r"^(\S.*)\n  (\S.*)$", self.screen(), flags=re.MULTILINE))

    def poplar(self, *arguments: str, told: str = "") -> str:
        """What another `poplar` command says of this demo."""
        command = [sys.executable, "-m", "service", "--config", str(self.state / "state" / "poplar.yaml"), *arguments]
        done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_account(self) -> Account:
        """A maildrop that no other test touches, empty."""
        tenant, domain = self.accounts[0].tenant, self.accounts[0].address.partition("@")[2]
        account = Account(tenant, f"user-{uuid4().hex[:12]}@{domain}", "pass word with spaces")
        self.poplar("maildrop", "create", account.address)
        self.poplar("credential", "create", account.address, "--password-stdin", told=account.password + "\n")
        return account


@contextmanager
def demo_on(state: Path, *options: str) -> Iterator[RunningDemo]:
    """A demo on `state` with free ports, ready; ended with SIGTERM."""
    state.mkdir(parents=True, exist_ok=True)
    process = started(state, *options)
    try:
        yield RunningDemo(_ready(state, process), state, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def started(state: Path, *options: str) -> "subprocess.Popen[bytes]":
    """The demo's process, perhaps not ready yet; its screen goes to a file beside its state."""
    command = [sys.executable, "-m", "service", "demo", "--state", str(state / "state"), *FREE_PORTS]
    command += ["--ready-file", str(state / "ready.json"), *options]
    with (state / "screen.txt").open("wb") as screen:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}
        return subprocess.Popen(command, stdout=screen, stderr=subprocess.STDOUT, env=environment | {"COLUMNS": "100"})


def _ready(state: Path, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if (state / "ready.json").exists():
            return dict(json.loads((state / "ready.json").read_text()))
        time.sleep(0.05)
    raise AssertionError(f"the demo did not become ready:\n{(state / 'screen.txt').read_text()}")


def offspring(pid: int) -> set[int]:
    """The processes that `pid` started, directly or not, which are alive now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parents[int(entry.name)] = _parent(entry)
    found: set[int] = set()
    generation = {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation} - found
        found |= generation
    return found


def _parent(entry: Path) -> int:
    try:
        status = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if status[0] == "Z" else int(status[1])


def all_gone(pids: set[int], seconds: float = 20.0) -> bool:
    """Whether all of these have ended within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_parent(Path("/proc") / str(pid)) for pid in pids):
            return True
        time.sleep(0.05)
    return False
