"""A small installation of a test's own: Postgres, Valkey, blobs, and Poplar's real processes over them.

Owns their start, their mishaps (paused, killed, restarted, emptied) and their end. Refuses to know what a test proves.
Times are short so that a lease runs out while a test waits; nothing here depends on how long anything takes.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
import yaml

from service.app.provisioning import provisioning
from service.app.staff import live_sessions
from service.embedded.process import spawn
from service.embedded.valkey import ValkeyServer, binary, running_valkey
from service.settings import Settings
from tests.backends.demo import Place, offspring
from tests.backends.pausing import pause
from tests.cli.conftest import Command, await_true
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Wire, answered, dialled, hand_in

PASSWORD = "correct horse"
LEASE, RENEW = 2.0, 0.5


@dataclass
class Valkey:
    """A server that can be stopped, emptied and started again where it was."""

    server: ValkeyServer
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else self.server.pid

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.server.url, socket_timeout=30)

    def kill(self) -> None:
        """End it at once; nothing of it is kept."""
        os.kill(self.pid, signal.SIGKILL)
        await_true(lambda: not answers(self.server.url), "the server to be gone")

    def start(self) -> None:
        """Start it empty, on the same port, with the same password."""
        self.process = spawn([str(binary()), str(self.folder / "valkey.conf")], self.folder, self.folder / "valkey.log")
        await_true(lambda: answers(self.server.url), "the server to answer")


def answers(url: str) -> bool:
    """Whether a Redis at `url` answers."""
    with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=5) as client:
        return bool(client.ping())
    return False


@contextmanager
def valkey_in(folder: Path) -> Iterator[Valkey]:
    """A Valkey that keeps nothing on disk."""
    with running_valkey(folder, durable=False) as server:
        valkey = Valkey(server, folder)
        try:
            yield valkey
        finally:
            go_on(valkey.pid)
            if valkey.process is not None:
                valkey.process.kill()
                valkey.process.wait()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process and its children in their tracks while the block runs."""
    stopped = [pid, *offspring(pid)]
    for each in stopped:
        pause(each)
    try:
        yield
    finally:
        for each in reversed(stopped):
            go_on(each)


def go_on(pid: int) -> None:
    """Let a stopped process run."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@dataclass
class Site:
    """Where everything is; `values` are the settings of all processes."""

    folder: Path
    values: dict[str, Any]
    valkey: Valkey
    stack: ExitStack
    commands: dict[str, Command] = field(default_factory=dict)
    address: str = ""
    """The maildrop of the present test."""
    wires: list[Wire] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(self.values)

    @property
    def blobs(self) -> list[Path]:
        """Every stored blob, in the order of their keys."""
        return sorted(path for path in (self.folder / "blobs").rglob("*") if path.is_file())

    def run(self, name: str, *arguments: str, **more: Mapping[str, object]) -> Command:
        """Start `poplar` under `name` with the site's settings, changed by section; returns once it serves."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        values = self.values | {part: {**self.values.get(part, {}), **given} for part, given in more.items()}
        (folder / "poplar.yaml").write_text(yaml.safe_dump(values), "utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("POPLAR_")}
        command = Command(["--config", str(folder / "poplar.yaml"), *arguments], environment, folder)
        self.stack.callback(ended, command)
        command.await_said('"event":"serving"')
        self.commands[name] = command
        return command

    def place(self, name: str, listener: str) -> Place:
        lines = [line for line in self.log(name) if line["event"] == "serving"]
        if not lines:
            raise ConnectionRefusedError(f"{name} is not serving yet")
        return Place("127.0.0.1", int(str(lines[0]["listeners"][listener]).rpartition(":")[2]))

    def deliver(self, *letters: Handed, by: str = "lmtp") -> None:
        """Hand letters in, each answered 250."""
        wire = dialled(self.place(by, "lmtp"))
        answered(wire, b"LHLO clients.example", b"250")
        for letter in letters:
            hand_in(wire, self.address, letter)
        wire.close()

    @property
    def login(self) -> bytes:
        """What a client that doesn't wait for answers sends."""
        return b"USER %s\r\nPASS %s\r\n" % (self.address.encode(), PASSWORD.encode())

    def greeted(self, at: str) -> Wire:
        """A connection to the front end `at`, closed after the test."""
        self.wires.append(dialled(self.place(at, "pop3")))
        return self.wires[-1]

    def await_held_by(self, *names: str) -> None:
        """Return once exactly these front ends hold the maildrop, as its entry in Redis says."""
        await_true(lambda: self._holders() == [self.pid(name) for name in names], f"the maildrop to be held by {names}")

    def _holders(self) -> list[int]:
        holders = [each for each in asyncio.run(live_sessions(self.settings)) if each.address == self.address]
        return [int(each.process.rpartition(":")[2]) for each in holders]

    def log_in(self, at: str) -> tuple[Wire, bytes]:
        """A connection to the front end `at`, and the answer to its login."""
        wire = self.greeted(at)
        assert wire.say(b"USER " + self.address.encode()).startswith(b"+OK")
        return wire, wire.say(b"PASS " + PASSWORD.encode())

    def session(self, at: str) -> Wire:
        """A session in TRANSACTION."""
        wire, answer = self.log_in(at)
        assert answer.startswith(b"+OK"), answer
        return wire

    def session_once_free(self, at: str) -> Wire:
        """A session as soon as nobody else holds the maildrop; being told to wait is the only refusal there may be."""
        while True:
            wire, answer = self.log_in(at)
            if answer.startswith(b"+OK"):
                return wire
            wire.close()
            assert answer.startswith(b"-ERR [IN-USE] "), answer
            time.sleep(0.05)

    def log(self, name: str) -> list[dict[str, Any]]:
        """The lines that a process has logged."""
        return [json.loads(line) for line in self.commands[name].said.splitlines() if re.fullmatch(r"\{.*\}", line)]

    def pid(self, name: str) -> int:
        return self.commands[name].process.pid

    def messages(self, at: str) -> list[bytes]:
        """Every message as RETR sends it, of as many octets as LIST says, and together as many as STAT says."""
        wire = self.session_once_free(at)
        texts = []
        count, total = map(int, wire.say(b"STAT").split()[1:])
        assert wire.say(b"LIST").startswith(b"+OK")
        for number, octets in (map(int, line.split()) for line in wire.multi_line().splitlines()):
            assert wire.say(b"RETR %d" % number).startswith(b"+OK")
            texts.append(wire.multi_line())
            assert len(texts[-1]) == octets
        assert (len(texts), sum(map(len, texts))) == (count, total)
        assert wire.say(b"QUIT").startswith(b"+OK")
        wire.close()
        return texts


def ended(command: Command) -> None:
    """End a process that still runs, stopped or not."""
    if command.process.poll() is None:
        go_on(command.process.pid)
        command.process.kill()
        command.process.wait()


def listeners(*protocols: str) -> list[dict[str, Any]]:
    """One of each on a free port of the loopback, where passwords may be said in clear."""
    return [{"name": each, "protocol": each, "host": "127.0.0.1", "port": 0, "tls": "terminated"} for each in protocols]


@contextmanager
def site_in(folder: Path, dsn: str, valkey: Valkey) -> Iterator[Site]:
    """An installation on this database and Valkey; its processes end with the block."""
    values = {
        "hostname": "mail.orchard.example",
        "database": {"url": dsn, "deadline": 20.0, "attempt": 5.0},
        "redis": {"url": valkey.server.url, "lease_seconds": LEASE, "renew_every": RENEW},
        "object_store": {"url": (folder / "blobs").as_uri()},
        "http": {"host": "127.0.0.1", "port": 0},
        "listeners": listeners("pop3", "lmtp"),
        "pop3": {"failure_delay": 0.0},
        "logging": {"format": "json"},
    }
    with ExitStack() as stack:
        site = Site(folder, values, valkey, stack)
        asyncio.run(_provide_tenant(site.settings))
        yield site


@contextmanager
def maildrop_of_ones_own(site: Site) -> Iterator[None]:
    """An empty maildrop for one test, whose connections end with it."""
    site.address = f"user-{uuid4().hex[:12]}@orchard.example"
    asyncio.run(_provide(site.settings, site.address))
    try:
        yield
    finally:
        for wire in site.wires:
            wire.close()
        site.wires.clear()


async def _provide_tenant(settings: Settings) -> None:
    async with provisioning(settings, "tests") as desk:
        await desk.tenants.create("orchard")
        await desk.domains.create("orchard", "orchard.example")


async def _provide(settings: Settings, address: str) -> None:
    async with provisioning(settings, "tests") as desk:
        await desk.maildrops.create(address)
        await desk.credentials.create(address, await desk.passwords.credential(PASSWORD))
