"""What the tests ask of any mail program, and how one is run.

Owns the ways to connect and the environment of a run. Refuses to know any one program's options.
RFC 2595 §4 (STLS), RFC 8314 §3.1 (implicit TLS).
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import pytest

from tests.backends.demo import Place
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Maildrop

SECONDS = 100.0


class Way(Enum):
    """How a client reaches the server."""

    CLEAR = "clear"
    STLS = "stls"
    TLS = "tls"


@dataclass(frozen=True)
class Run:
    """One run of a mail program: how it ended, what it said, and the messages that it brought."""

    code: int
    said: str
    brought: list[bytes]


class Program(Protocol):
    """A mail program."""

    name: str
    """The command that must be installed."""
    letters: tuple[Handed, ...]
    """What it can keep without breaking it."""

    def fetch(self, home: Path, maildrop: Maildrop, way: Way, *, keep: bool) -> Run:
        """Get what is new; what was got leaves the server unless `keep`. `home` remembers from run to run."""

    def stored(self, letter: Handed, message: bytes) -> bytes:
        """What the program makes of `message`, which it received whole: `letter` behind its trace lines."""


def needed(name: str) -> str:
    """The path of a command; skips the test where it isn't installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(home: Path, *command: str, told: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end with a home folder of its own."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, input=told, capture_output=True, env=environment, check=False, timeout=SECONDS)


def place(maildrop: Maildrop, way: Way) -> Place:
    """Where the way begins."""
    return maildrop.demo.place("pop3s" if way is Way.TLS else "pop3")


def private_file(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with a password in it, or a script, as programs want its rights."""
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


class Spool:
    """A folder into which a program's deliveries go, each into a file of its own."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "spool"
        self.folder.mkdir(exist_ok=True)
        self._before = set(self.folder.iterdir())
        self.script = private_file(
            home / "deliver", f'#!/bin/sh\nexec cat >"$(mktemp "{self.folder}/XXXXXXXXXXXX")"\n', 0o700
        )

    @property
    def brought(self) -> list[bytes]:
        """What came since this was made."""
        return [path.read_bytes() for path in sorted(self.folder.iterdir()) if path not in self._before]


def with_local_line_ends(message: bytes) -> bytes:
    """The message as programs keep it on this system."""
    return message.replace(b"\r\n", b"\n")
