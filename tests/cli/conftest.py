"""The real command in a process of its own, with settings of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.main import main

ADA = "ada@acme.example"
PATIENCE = 60.0
NOWHERE = {
    # A port nobody may listen on: whatever needs these systems finds them away at once.
    "database": {"url": "postgresql://nobody@127.0.0.1:1/none", "deadline": 1.0},
    "redis": {"url": "redis://127.0.0.1:1/0"},
}


def await_true(found: Callable[[], object], what: str) -> None:
    """Return once `found()` is true; fail after a patience that a slow machine needs too."""
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


class Command:
    """A running `poplar` and what it said."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, program: str = "service"
    ) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return self.log.read_text("utf-8")

    def await_said(self, word: str, times: int = 1) -> None:
        """Return once it wrote `word` so often."""
        await_true(lambda: self.said.count(word) >= times or self.process.poll() is not None, f"{word}\n{self.said}")
        assert self.said.count(word) >= times, self.said

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def settings_file(folder: Path, **more: object) -> Path:
    """A file with settings for a machine on which every other system is away."""
    path = folder / "poplar.yaml"
    listeners = [{"name": "pop3", "protocol": "pop3", "host": "127.0.0.1", "port": 0}]
    values = NOWHERE | {
        "object_store": {"url": (folder / "blobs").as_uri()},
        "http": {"host": "127.0.0.1", "port": 0},
        "listeners": listeners,
        "drain": {"grace": 5.0},
    }
    path.write_text(yaml.safe_dump(values | more), "utf-8")
    return path


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """The environment without any setting of Poplar's."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("POPLAR_")}


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Start]:
    """Starts `poplar` with arguments, and settings beside those of `settings_file`; ends it after the test."""
    started: list[Command] = []

    def begin(*arguments: str, **more: object) -> Command:
        path = settings_file(tmp_path, **more)
        started.append(Command(["--config", str(path), *arguments], clean_environment, tmp_path))
        return started[-1]

    yield begin
    for command in started:
        if command.process.poll() is None:
            command.end(signal.SIGKILL)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(clean_environment: dict[str, str]) -> Run:
    """Runs `poplar` to its end; keyword arguments are environment variables."""

    def to_its_end(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            env=clean_environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    return to_its_end


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Poplar = Callable[..., Outcome]


@pytest.fixture
def poplar(migrated_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Poplar:
    monkeypatch.setenv("POPLAR_DATABASE__URL", migrated_dsn)

    def run(*words: str, typed: str = "") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["poplar", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def acme(poplar: Poplar) -> Poplar:
    """A poplar whose service has acme, acme.example and Ada."""
    for words in ("tenant create acme", "domain create acme.example --tenant acme", f"maildrop create {ADA}"):
        outcome = poplar(*words.split())
        assert outcome.code == 0, outcome.err
    return poplar
