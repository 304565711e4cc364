"""The load client, a C program: built when its source is newer, run, and its figures read.

Owns the command line. Refuses to know what is measured and against whom.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / ".tools" / "load"
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
PATIENCE = 60.0
"""Seconds that the client may take beyond the time it was told to measure."""


class LoadError(Exception):
    """The client could not be built or run, or saw what must not be."""


def built(name: str = "client") -> Path:
    """The program made of tests/load/NAME/*.c; with TLS where OpenSSL's headers are. Raises LoadError.

    Several processes may ask at a time: each links a file of its own, and a program takes its place when it is whole.
    """
    sources = sorted((HERE / name).glob("*.[ch]"))
    program = BUILT / name
    if program.exists() and program.stat().st_mtime >= max(path.stat().st_mtime for path in sources):
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise LoadError("the load client needs a C compiler: install gcc or clang")
    BUILT.mkdir(parents=True, exist_ok=True)
    texts = [str(path) for path in sources if path.suffix == ".c"]
    told = ""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=BUILT) as folder:
        new = Path(folder) / name
        for libraries in (["-lssl", "-lcrypto"], ["-DWITHOUT_TLS"]):
            line = [compiler, *FLAGS, "-o", str(new), *texts, *libraries]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return new.replace(program)
            told = told or done.stderr
    raise LoadError(told)


class Client:
    """One run of the client, whose two ends of the measured time can be waited for."""

    def __init__(self, **options: object) -> None:
        """Start it; `delete=True` becomes `--delete`, `users=64` becomes `--users 64`."""
        self._command = [str(built()), *_words(options)]
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told, text=True
        )

    def await_line(self, word: str) -> None:
        """Return once it said that the measured time begins, or ends."""
        assert self._process.stdout is not None
        if (line := self._process.stdout.readline().strip()) != word:
            self._process.wait(PATIENCE)
            raise self._error(f"said {line!r} instead of {word!r}")

    def let_go(self) -> None:
        """Have idle sessions end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def result(self) -> dict[str, Any]:
        """Its figures. Raises LoadError if anything was not as it should be."""
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        if self._process.wait(PATIENCE):
            raise self._error(said)
        figures: dict[str, Any] = json.loads(said)
        return figures

    def _error(self, said: str) -> "LoadError":
        self._told.seek(0)
        return LoadError(f"{' '.join(self._command)}\n{self._told.read().decode()}{said}")


def run(between: Callable[[], Any] = dict, **options: object) -> tuple[dict[str, Any], Any, Any]:
    """A whole run: its figures, and what `between` gave at the two ends of the measured time."""
    client = Client(**options)
    client.await_line("begin")
    before = between()
    client.await_line("end")
    after = between()
    return client.result(), before, after


def _words(options: dict[str, object]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
        elif value is not False:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
