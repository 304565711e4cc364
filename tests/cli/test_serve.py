"""`poplar serve` as a process: start, readiness, drain, workers, and nothing left behind."""

import json
import os
import re
import resource
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Start, await_true


def spoken(port: int) -> bytes:
    """What the server says from its greeting to its end, when the client only says QUIT."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"QUIT\r\n")
        said = b""
        while piece := client.recv(4096):
            said += piece
    return said


def port_of(command: Command, listener: str = "pop3") -> int:
    found = re.search(rf'"{listener}":"?(?:127\.0\.0\.1:)?(\d+)', command.said)
    assert found, command.said
    return int(found.group(1))


def http_of(command: Command) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", command.said)
    assert found, command.said
    return found.group()


def fetched(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - our own server
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def workers_of(command: Command) -> list[int]:
    """The processes that `command` started."""
    pid = command.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        # A zombie that nobody reaped has ended all the same.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_serves_though_every_other_system_is_away_and_ends_well(start: Start) -> None:
    command = start("serve")
    command.await_said('"event":"serving"')
    assert spoken(port_of(command)).startswith(b"+OK")
    assert fetched(f"{http_of(command)}/readyz") == (200, "ready\n")
    assert command.end() == 0
    assert '"event":"ended"' in command.said


def test_ctrl_c_ends_it_well_too(start: Start) -> None:
    command = start("serve")
    command.await_said('"event":"serving"')
    assert command.end(signal.SIGINT) == 0


@contextmanager
def hangups(how: signal.Handlers) -> Iterator[None]:
    """What is started meanwhile begins with SIGHUP taken so."""
    before = signal.signal(signal.SIGHUP, how)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("arguments", [("serve",), ("serve", "--workers", "2")])
def test_the_end_of_its_terminal_drains_it_too(start: Start, arguments: tuple[str, ...]) -> None:
    with hangups(signal.SIG_DFL):
        command = start(*arguments, drain={"grace": 5.0, "announce": 1.0})
    command.await_said('"event":"serving"')
    command.process.send_signal(signal.SIGHUP)
    command.await_said('"event":"draining"')
    # The shell and the kernel may each send one.
    assert command.end(signal.SIGHUP) == 0
    assert '"event":"ended"' in command.said


def test_under_nohup_it_outlives_its_terminal(start: Start) -> None:
    with hangups(signal.SIG_IGN):
        command = start("serve")
    command.await_said('"event":"serving"')
    command.process.send_signal(signal.SIGHUP)
    assert spoken(port_of(command)).startswith(b"+OK")
    assert command.end() == 0


def test_while_it_drains_it_is_not_ready_and_a_second_signal_ends_it_at_once(start: Start) -> None:
    command = start("serve", drain={"grace": 60.0, "announce": 60.0})
    command.await_said('"event":"serving"')
    command.process.send_signal(signal.SIGTERM)
    command.await_said('"event":"draining"')
    assert fetched(f"{http_of(command)}/readyz") == (503, "draining\n")
    assert fetched(f"{http_of(command)}/livez")[0] == 200
    assert command.end() == 128 + signal.SIGTERM


def test_a_taken_port_is_told_plainly(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = start("serve", listeners=[{"name": "a", "protocol": "pop3", "host": "127.0.0.1", "port": port}])
        assert command.process.wait(60) == 1
    assert f"poplar: listener a: port {port}: Address already in use\n" in command.said
    assert "Traceback" not in command.said


def test_a_taken_port_of_the_metrics_is_told_with_the_way_out(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = start("serve", http={"host": "127.0.0.1", "port": port})
        assert command.process.wait(60) == 1
    (line,) = command.said.splitlines()
    assert line.startswith(f"poplar: http: port {port}: Address already in use; ")
    assert "POPLAR_HTTP__PORT" in line


@pytest.mark.parametrize("arguments", [("serve",), ("serve", "--workers", "2")])
def test_without_a_listener_of_its_protocol_it_does_not_pretend_to_serve(
    start: Start, arguments: tuple[str, ...]
) -> None:
    listeners = [{"name": "lmtp", "protocol": "lmtp", "host": "127.0.0.1", "port": 0}]
    command = start(*arguments, listeners=listeners)
    assert command.process.wait(60) == 2
    assert command.said == "poplar: listeners must have one whose protocol is pop3\n"


def test_a_listener_without_certificate_is_told_plainly(start: Start, tmp_path: Path) -> None:
    empty = tmp_path / "tls"
    empty.mkdir()
    listeners = [{"name": "a", "protocol": "pop3", "host": "127.0.0.1", "port": 0, "tls": "implicit"}]
    command = start("serve", listeners=listeners, tls={"directory": str(empty)})
    assert command.process.wait(60) == 1
    assert f"poplar: no usable certificate and key in {empty}" in command.said


def test_lmtp_has_a_command_of_its_own(start: Start) -> None:
    listeners = [
        {"name": "pop3", "protocol": "pop3", "host": "127.0.0.1", "port": 0},
        {"name": "lmtp", "protocol": "lmtp", "host": "127.0.0.1", "port": 0},
    ]
    command = start("lmtp", listeners=listeners)
    command.await_said('"event":"serving"')
    assert spoken(port_of(command, "lmtp")).startswith(b"220 ")
    assert '"pop3"' not in command.said
    assert command.end() == 0


def test_workers_share_one_port_and_end_together(start: Start) -> None:
    command = start("serve", "--workers", "2")
    command.await_said('"event":"serving"', times=2)
    await_true(lambda: fetched(f"{http_of(command)}/readyz")[0] == 200, "readiness")
    workers = workers_of(command)
    assert len(workers) == 2
    for _ in range(20):
        assert spoken(port_of(command)).startswith(b"+OK")
    assert command.end() == 0
    assert not any(map(alive, workers))


def test_workers_take_deliveries_on_one_port_too(start: Start) -> None:
    listeners = [{"name": "lmtp", "protocol": "lmtp", "host": "127.0.0.1", "port": 0}]
    command = start("lmtp", "--workers", "2", listeners=listeners)
    command.await_said('"event":"serving"', times=2)
    assert len(workers_of(command)) == 2
    for _ in range(20):
        assert spoken(port_of(command, "lmtp")).startswith(b"220 ")
    assert command.end() == 0


def ended_sessions(command: Command) -> float:
    _, text = fetched(f"{http_of(command)}/metrics")
    found = re.search(r'^poplar_session_seconds_count\{end="quit",listener="pop3"\} (\S+)', text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def test_the_metrics_of_all_workers_are_added_up(start: Start) -> None:
    command = start("serve", "--workers", "2")
    command.await_said('"event":"serving"', times=2)
    for _ in range(16):
        spoken(port_of(command))
    await_true(lambda: ended_sessions(command) == 16.0, "sixteen sessions in the metrics")
    assert "poplar_workers 2.0" in fetched(f"{http_of(command)}/metrics")[1]
    assert command.end() == 0


def test_a_worker_that_dies_is_replaced_and_its_sessions_stay_counted(start: Start) -> None:
    command = start("serve", "--workers", "2")
    command.await_said('"event":"serving"', times=2)
    for _ in range(4):
        spoken(port_of(command))
    await_true(lambda: ended_sessions(command) == 4.0, "four sessions in the metrics")
    victim = workers_of(command)[0]
    os.kill(victim, signal.SIGKILL)
    command.await_said('"event":"serving"', times=3)
    assert ended_sessions(command) == 4.0
    assert spoken(port_of(command)).startswith(b"+OK")
    assert json.loads(next(line for line in command.said.splitlines() if "worker ended" in line))["code"] == -9
    assert command.end() == 0


def test_a_worker_that_cannot_be_started_now_is_tried_again(start: Start) -> None:
    """The supervisor has no descriptor left for it, for a while."""
    command = start("serve", "--workers", "2")
    command.await_said('"event":"serving"', times=2)
    pid = command.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, before[1]))
    os.kill(workers_of(command)[0], signal.SIGKILL)
    command.await_said('"event":"worker not started"', times=2)
    assert "Too many open files" in command.said
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    command.await_said('"event":"serving"', times=3)
    assert spoken(port_of(command)).startswith(b"+OK")
    assert command.end() == 0


def test_no_worker_outlives_a_supervisor_that_was_killed(start: Start) -> None:
    command = start("serve", "--workers", "2")
    command.await_said('"event":"serving"', times=2)
    workers = workers_of(command)
    assert len(workers) == 2
    command.end(signal.SIGKILL)
    await_true(lambda: not any(map(alive, workers)), "the workers' end")


def test_workers_that_cannot_start_end_the_supervisor(start: Start, tmp_path: Path) -> None:
    listeners = [{"name": "a", "protocol": "pop3", "host": "127.0.0.1", "port": 0, "tls": "implicit"}]
    command = start("serve", "--workers", "2", listeners=listeners, tls={"directory": str(tmp_path / "none")})
    assert command.process.wait(60) == 1
    assert "none: No such file or directory" in command.said


def test_the_supervisors_port_is_told_plainly_when_it_is_taken(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listeners = [{"name": "a", "protocol": "pop3", "host": "127.0.0.1", "port": port}]
        command = start("serve", "--workers", "2", listeners=listeners)
        assert command.process.wait(60) == 1
    assert f"poplar: listener a: port {port}: Address already in use\n" in command.said
