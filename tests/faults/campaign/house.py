"""The installation that a campaign runs against: real programs, real systems, and ways between them that can break.

Owns three front ends, two LMTP processes, a sweep, a Postgres pair, a Valkey, an S3 server, and the settings that lead
each process to each system by a way of its own. Refuses to know what goes wrong (`nemesis.py`) and who comes
(`crowd.py`). Every process it started is ended by its id.
"""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from service.settings import Settings
from service.stores.postgres.logins import create_login
from service.stores.postgres.migrate import migrate
from tests.backends.demo import Place
from tests.backends.s3 import ACCESS, BUCKET, SECRET, S3Server, start_s3
from tests.cli.conftest import Command
from tests.faults.campaign.cluster import Cluster
from tests.faults.campaign.harms import Exchange, Statements
from tests.faults.campaign.links import Watch, Way
from tests.faults.campaign.waiting import until
from tests.faults.site import Valkey, ended, listeners, valkey_in

FRONTS = ("front 1", "front 2", "front 3")
LMTPS = ("lmtp 1", "lmtp 2")
SWEEPS = ("sweep 1",)
PROCESSES = (*FRONTS, *LMTPS, *SWEEPS)
COMMANDS = {"front": ["serve"], "lmtp": ["lmtp"], "sweep": ["sweep", "--loop"]}
BUSY_SWEEP = {"removed_retention_days": 0.05, "interval": 3.0, "orphan_hours": 1.2}
"""What was removed, and blobs without a row, are deleted for good as soon as the settings allow."""
SWEEP_AHEAD = 4200.0
"""Seconds by which the sweep's clock is early: all but two minutes of what the settings make it wait."""
STAFF = "staff"
SYSTEMS = ("postgres", "redis", "store")
CLIENTS = "clients"
ROLES = {"front": "poplar_front", "lmtp": "poplar_lmtp", "sweep": "poplar_sweep", "api": "poplar_api"}
PASSWORD = "of-a-login"
WATCHES: Mapping[str, type[Watch]] = {"postgres": Statements, "redis": Watch, "store": Exchange}


@dataclass(eq=False)
class Program:
    """A running `poplar`."""

    name: str
    command: Command

    @property
    def pid(self) -> int:
        return self.command.process.pid

    @property
    def alive(self) -> bool:
        return self.command.process.poll() is None

    @property
    def serves(self) -> bool:
        """Whether it listens. Raises RuntimeError once it has ended."""
        if not self.alive:
            raise RuntimeError(f"{self.name} ended: {self.command.said[-2000:]}")
        return re.search('"event":"(serving|sweeping)"', self.command.said) is not None

    def place(self) -> Place:
        """Where it listens. Raises ConnectionRefusedError before it does."""
        found = re.search(r'^\{.*"event":"serving".*\}$', self.command.said, re.MULTILINE)
        if found is None:
            raise ConnectionRefusedError(f"{self.name} is not serving yet")
        return Place("127.0.0.1", int(next(iter(json.loads(found[0])["listeners"].values())).rpartition(":")[2]))


@dataclass(eq=False)
class House:
    """All of it; `values` are settings that differ from Poplar's own."""

    folder: Path
    cluster: Cluster
    valkey: Valkey
    store: S3Server
    values: dict[str, Any]
    ways: dict[tuple[str, str], Way] = field(default_factory=dict)
    doors: dict[str, Way] = field(default_factory=dict)
    """The clients' way to each process that listens."""
    programs: dict[str, Program] = field(default_factory=dict)
    leaving: list[Program] = field(default_factory=list)
    """Those that were told to end, and others run in their place."""
    logs: list[tuple[str, Path]] = field(default_factory=list)
    """Of every process that ever ran, by its name."""
    _places: dict[str, Place] = field(default_factory=dict)
    _runs: int = 0

    def ways_of(self, system: str, *names: str) -> list[Way]:
        """The ways of these processes, or of all of them, to `system`."""
        return [self.ways[name, system] for name in names or PROCESSES]

    def place(self, name: str) -> Place:
        """Where clients reach it. Raises ConnectionRefusedError while it doesn't run."""
        self.listening(name)
        return Place("127.0.0.1", self.doors[name].port)

    def listening(self, name: str) -> int:
        """The port behind the clients' way. Raises ConnectionRefusedError while it doesn't run."""
        if name not in self._places:
            raise ConnectionRefusedError(f"{name} does not run")
        return self._places[name].port

    async def run(self, name: str, clock_off: float = 0.0) -> Program:
        """Start `poplar` under this name; returns once it serves. Clients are led to it from then on."""
        self._runs += 1
        folder = self.folder / f"{self._runs:03}-{_joined(name)}"
        folder.mkdir()
        (folder / "poplar.yaml").write_text(yaml.safe_dump(self._settings(name)), "utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("POPLAR_")}
        clock_off += SWEEP_AHEAD if name in SWEEPS else 0.0
        program = "tests.faults.campaign.wrong_clock" if clock_off else "service"
        arguments = ["--config", str(folder / "poplar.yaml"), *COMMANDS[_kind(name)]]
        command = Command(arguments, environment | {"CLOCK_OFF": str(clock_off)}, folder, program)
        started = self.programs[name] = Program(name, command)
        self.logs.append((name, command.log))
        await until(lambda: started.serves, f"{name} to serve")
        if name not in SWEEPS:
            self._places[name] = started.place()
        return started

    def kill(self, name: str) -> None:
        """End it at once."""
        self._places.pop(name, None)
        ended(self.programs[name].command)

    async def replace(self, name: str) -> None:
        """Start another in its place, lead clients there, then have the old one end in order."""
        old = self.programs[name]
        self.leaving.append(old)
        await self.run(name)
        old.command.process.send_signal(signal.SIGTERM)

    async def all_left(self) -> None:
        """Return once those that were told to end have done so."""
        for program in self.leaving:
            await until(lambda program=program: not program.alive, f"{program.name} to end")  # type: ignore[misc]
        self.leaving.clear()

    def staff(self) -> Settings:
        """The settings of staff's commands."""
        return Settings.model_validate(self._settings(STAFF))

    def end(self) -> None:
        for program in (*self.programs.values(), *self.leaving):
            ended(program.command)

    def _settings(self, name: str) -> dict[str, Any]:
        own: dict[str, Any] = {
            "hostname": f"{_joined(name)}.orchard.example",
            "database": {f"{role}_url": self._dsn(name, f"{role}_login") for role in ROLES},
            "redis": {"url": self._by_way(self.valkey.server.url, self.valkey.server.port, name)},
            "object_store": {
                "url": f"s3://{BUCKET}/mail",
                "endpoint": f"http://127.0.0.1:{self.ways[name, 'store'].port}",
                "region": "us-east-1",
                "access_key": ACCESS,
                "secret_key": SECRET,
                "allow_http": True,
            },
            "http": {"host": "127.0.0.1", "port": 0},
            "listeners": listeners("pop3" if name in FRONTS else "lmtp"),
            "pop3": {"failure_delay": 0.0},
            "sweep": BUSY_SWEEP,
            "logging": {"format": "json"},
        }
        return own | {part: {**own.get(part, {}), **given} for part, given in self.values.items()}

    def _dsn(self, name: str, login: str) -> str:
        return f"postgresql://{login}:{PASSWORD}@127.0.0.1:{self.ways[name, 'postgres'].port}/poplar"

    def _by_way(self, url: str, port: int, name: str) -> str:
        return url.replace(f":{port}/", f":{self.ways[name, 'redis'].port}/")


@asynccontextmanager
async def house_in(folder: Path, **values: Mapping[str, object]) -> AsyncIterator[House]:
    """The installation with its files below `folder`, all of it serving; everything ends with the block."""
    async with AsyncExitStack() as stack:
        cluster = Cluster(folder)
        stack.callback(cluster.end)
        await cluster.start()
        await _prepared(cluster)
        valkey = stack.enter_context(valkey_in(folder / "valkey"))
        store = start_s3(folder / "store")
        stack.callback(store.end)
        stack.callback(store.resume)
        house = House(folder, cluster, valkey, store, dict(values))
        targets = {
            "postgres": lambda: cluster.primary.port,
            "redis": lambda: valkey.server.port,
            "store": lambda: store.port,
        }
        for name in (*PROCESSES, STAFF):
            for system in SYSTEMS:
                way = house.ways[name, system] = Way(name, system, targets[system], WATCHES[system])
                await way.open()
                stack.push_async_callback(way.close)
        for name in (*FRONTS, *LMTPS):
            door = house.doors[name] = Way(CLIENTS, name, partial(house.listening, name))
            await door.open()
            stack.push_async_callback(door.close)
        stack.callback(house.end)
        for name in PROCESSES:
            await house.run(name)
        yield house


async def _prepared(cluster: Cluster) -> None:
    """A database with Poplar's tables, and a login for each role."""
    await cluster.say("CREATE DATABASE poplar")
    await migrate(cluster.dsn())
    for role, group in ROLES.items():
        await create_login(cluster.dsn(), f"{role}_login", PASSWORD, group)


def _kind(name: str) -> str:
    return name.partition(" ")[0]


def _joined(name: str) -> str:
    return name.replace(" ", "-")
