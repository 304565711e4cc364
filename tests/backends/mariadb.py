"""A real MariaDB for tests: Debian's server as an ordinary process, with its own files and a port on loopback.

Owns the process and a database in it. Where the programs aren't installed the tests that need it skip and say so.
"""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.embedded.process import await_ready, dying_with_parent, free_port, is_root, spawn, stop

USER, PASSWORD, DATABASE = "poplar", "p@ss:word/1", "users"
PROGRAMS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


@dataclass(slots=True)
class MariaDb:
    """A running server with an empty database."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"mysql://{USER}:p%40ss%3Aword%2F1@127.0.0.1:{self.port}/{DATABASE}"

    def end(self) -> None:
        stop(self.process, signal.SIGTERM)

    def start(self) -> None:
        """Start it again on the same files and port."""
        self.process = _started(self.folder, self.port)


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """The server of this test process; import it to use it."""
    with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDb]:
    """A server with its files below `folder`, stopped at the end; skips where there is none to start."""
    needed = ("mariadb-install-db", "my_print_defaults")
    if _server() is None or not all(shutil.which(program, path=PROGRAMS) for program in needed):
        pytest.skip("MariaDB isn't installed: apt-get install mariadb-server-core mariadb-client-core")
    _install(folder)
    port = free_port()
    server = MariaDb(port, folder, _started(folder, port))
    try:
        yield server
    finally:
        server.end()


def _server() -> str | None:
    return shutil.which("mariadbd", path=PROGRAMS) or shutil.which("mysqld", path=PROGRAMS)


def _install(folder: Path) -> None:
    """Make its files, and the login by which tests come in."""
    (folder / "init.sql").write_text(
        f"CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
        f"CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\n"
        f"GRANT ALL ON {DATABASE}.* TO {USER};\n"
    )
    (folder / "tmp").mkdir()
    made = subprocess.run(
        ["mariadb-install-db", "--no-defaults", *_of_its_own(folder), "--skip-test-db"],
        capture_output=True,
        env={"PATH": PROGRAMS},
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def _of_its_own(folder: Path) -> list[str]:
    """Its files and its user. A server that starts deletes the temporary tables in its folder, whosever they are."""
    places = [f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}"]
    return [*places, "--user=root"] if is_root() else places


def _started(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    program = _server()
    assert program is not None
    command = [
        *(program, "--no-defaults", *_of_its_own(folder), f"--socket={folder / 's'}"),
        *("--bind-address=127.0.0.1", f"--port={port}", f"--init-file={folder / 'init.sql'}", "--skip-log-bin"),
    ]
    log = folder / "log"
    process = spawn(dying_with_parent(command, signal.SIGTERM), folder, log)
    assert await_ready(process, lambda: _answers(port), 60), log.read_text(errors="replace")
    return process


def _answers(port: int) -> bool:
    """Whether it greets: its init file has been run by then."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            return bool(probe.recv(1))
    except OSError:
        return False
