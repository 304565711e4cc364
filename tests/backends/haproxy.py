"""Debian's HAProxy with the configuration that Poplar ships, its addresses put in place.

Owns its start, reload and end, and what its admin socket says. The test skips where HAProxy isn't installed.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.embedded.process import free_port
from tests.cli.conftest import await_true

ASK_AGAIN = 10.0
SHIPPED = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"


@dataclass(frozen=True)
class Haproxy:
    """A running master with its workers."""

    process: "subprocess.Popen[bytes]"
    admin: Path
    ports: Mapping[str, int]
    log: Path

    def asked(self, command: str) -> str:
        """What the admin socket of the present worker answers."""
        with closing(socket.socket(socket.AF_UNIX)) as sock:
            sock.settimeout(30)
            sock.connect(str(self.admin))
            sock.sendall(command.encode() + b"\n")
            with sock.makefile("r") as answer:
                return answer.read()

    def states(self, backend: str) -> dict[str, str]:
        """Each server's state in a backend: UP, DOWN, or NOLB, which keeps its clients and gets no new ones."""
        rows = [row.split(",") for row in self.asked("show stat").splitlines() if row.startswith(f"{backend},")]
        return {row[1]: row[17] for row in rows if row[1] not in {"FRONTEND", "BACKEND"}}

    @property
    def worker(self) -> str:
        """The process id of the present worker."""
        lines = self.asked("show info").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("Pid:"))

    def reload(self) -> None:
        """Have a new worker take over; asked again while there is none, as a master that restarts hears no signal."""
        before, asked = self.worker, 0.0

        def taken_over() -> bool:
            nonlocal asked
            if time.monotonic() - asked > ASK_AGAIN:
                asked = time.monotonic()
                self.process.send_signal(signal.SIGUSR2)
            return self._answers() and self.worker != before

        await_true(taken_over, f"a new worker\n{self.log.read_text()}")

    def _answers(self) -> bool:
        try:
            return bool(self.asked("show info"))
        except OSError:
            return False


@contextmanager
def haproxy(folder: Path, certificates: Path, places: Mapping[str, str]) -> Iterator[Haproxy]:
    """HAProxy with the shipped configuration, in which `places` stand for the addresses written there."""
    if (program := shutil.which("haproxy")) is None:
        pytest.skip("haproxy is not installed")
    ports = {name: free_port() for name in ("pop3s", "pop3", "metrics")}
    ours = {
        "bind :995": f"bind 127.0.0.1:{ports['pop3s']}",
        "bind :110": f"bind 127.0.0.1:{ports['pop3']}",
        "127.0.0.1:8405": f"127.0.0.1:{ports['metrics']}",
        "/run/haproxy/admin.sock": str(folder / "admin.sock"),
        "/etc/haproxy/certs": str(certificates),
        "maxconn 20000": "maxconn 400",
        **places,
    }
    text = SHIPPED.read_text("utf-8")
    for shipped, here in ours.items():
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    path, log = folder / "haproxy.cfg", folder / "haproxy.log"
    path.write_text(text, "utf-8")
    subprocess.run([program, "-c", "-f", str(path)], check=True, capture_output=True)
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-W", "-db", "-f", str(path)], stdout=output, stderr=output)
    try:
        running = Haproxy(process, folder / "admin.sock", ports, log)
        await_true(lambda: process.poll() is not None or running._answers(), f"haproxy\n{log.read_text()}")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
