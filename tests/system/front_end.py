"""A front end of a test's own, `poplar serve`, `lmtp` or `api`, over the demo's Postgres, Valkey and blobs.

Owns its settings, its start and its end, so that a test may kill, drain or starve it while the demo stands by.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.backends.demo import Place, RunningDemo
from tests.cli.conftest import Command

POP3: dict[str, object] = {"protocol": "pop3", "host": "127.0.0.1", "port": 0}
IMPLICIT = POP3 | {"name": "own", "tls": "implicit"}
STARTTLS = POP3 | {"name": "clear", "tls": "starttls"}
TERMINATED = POP3 | {"name": "terminated", "tls": "terminated"}
LMTP = POP3 | {"name": "lmtp", "protocol": "lmtp"}


@dataclass(frozen=True)
class FrontEnd:
    """A front end that serves."""

    command: Command

    @property
    def pid(self) -> int:
        return self.command.process.pid

    def place(self, listener: str = "own") -> Place:
        """Where a listener of this front end answers."""
        lines = [json.loads(line) for line in self.command.said.splitlines() if '"serving"' in line]
        host, _, port = str(lines[0]["listeners"][listener]).rpartition(":")
        return Place(host or "127.0.0.1", int(port))

    @property
    def ops(self) -> Place:
        """Where its health and metrics answer."""
        lines = [json.loads(line) for line in self.command.said.splitlines() if '"serving"' in line]
        url = urlsplit(str(lines[0]["http"]))
        return Place(url.hostname or "127.0.0.1", url.port or 0)


def without_poplar() -> dict[str, str]:
    """The environment without any setting of Poplar's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}


@contextmanager
def front_end(
    demo: RunningDemo,
    folder: Path,
    listeners: tuple[Mapping[str, object], ...] = (IMPLICIT,),
    program: str = "service",
    **more: object,
) -> Iterator[FrontEnd]:
    """A front end with these listeners of one protocol and the demo's settings but for `more`; killed in the end.

    Without any it is the HTTP API.
    """
    folder.mkdir(exist_ok=True)
    verb = str(listeners[0]["protocol"]).replace("pop3", "serve") if listeners else "api"
    settings: dict[str, Any] = yaml.safe_load((demo.state / "state" / "poplar.yaml").read_text("utf-8"))
    for name, values in more.items():
        settings[name] = {**settings.get(name, {}), **dict(values)} if isinstance(values, Mapping) else values
    settings |= {"listeners": list(map(dict, listeners)), "http": {"host": "127.0.0.1", "port": 0}}
    path = folder / "poplar.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    command = Command(["--config", str(path), verb], without_poplar(), folder, program)
    try:
        command.await_said('"event":"serving"')
        yield FrontEnd(command)
    finally:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()
