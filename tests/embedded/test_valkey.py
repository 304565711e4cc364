"""The embedded Valkey keeps what it should, forgets what it should, and never evicts."""

import os
import signal
import socket
from pathlib import Path

import pytest
import redis

from service.embedded.valkey import HOST, running_valkey


def test_it_wants_its_password(tmp_path: Path) -> None:
    with running_valkey(tmp_path, durable=False) as server, socket.create_connection((HOST, server.port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")


def test_it_never_evicts(tmp_path: Path) -> None:
    with running_valkey(tmp_path, durable=False) as server, redis.Redis.from_url(server.url) as client:
        assert client.info("memory")["maxmemory_policy"] == "noeviction"


@pytest.mark.parametrize(("durable", "kept"), [(True, b"1"), (False, None)])
def test_only_a_durable_one_remembers_after_a_restart(tmp_path: Path, durable: bool, kept: bytes | None) -> None:
    with running_valkey(tmp_path, durable=durable) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", 1)
    with running_valkey(tmp_path, durable=durable) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("a") == kept


def test_it_starts_again_after_a_crash(tmp_path: Path) -> None:
    with running_valkey(tmp_path, durable=True) as server:
        os.kill(server.pid, signal.SIGKILL)
    with running_valkey(tmp_path, durable=True) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
