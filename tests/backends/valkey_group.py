"""Several Valkeys together: a cluster of three primaries, or a master with a replica and a Sentinel.

Owns their processes and how they find each other. They run from the wheel on loopback ports.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from service.embedded.process import await_ready, dying_with_parent, free_port, spawn, stop
from service.embedded.valkey import binary
from tests.backends.pausing import pause

SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Node:
    """One server of a group."""

    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, *words: object) -> Any:
        """The server's own answer to a command, whatever redis-py would make of it."""
        with redis.Redis(port=self.port, socket_timeout=5, single_connection_client=True) as client:
            connection = client.connection
            assert connection is not None
            connection.send_command(*words)
            return connection.read_response()

    def pause(self) -> None:
        pause(self.process.pid)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Group:
    """Servers and the URL by which Poplar finds them."""

    url: str
    nodes: Sequence[Node]

    def flush(self) -> None:
        """Empty every node, and forget every script."""
        for node in self.nodes:
            node.ask("FLUSHALL")
            node.ask("SCRIPT", "FLUSH")

    def owner(self, key: str) -> Node:
        """The node that keeps `key`, by the slots given out at the start."""
        slot = int(self.nodes[0].ask("CLUSTER", "KEYSLOT", key))
        return next(node for node, (low, high) in zip(self.nodes, SLOTS, strict=True) if low <= slot <= high)


@contextmanager
def cluster(folder: Path) -> Iterator[Group]:
    """Three primaries that cover all slots and agree on it."""
    with ExitStack() as stack:
        buses = [free_port() for _ in SLOTS]
        nodes = [_member(stack, folder / str(bus), bus) for bus in buses]
        for number, (node, slots) in enumerate(zip(nodes, SLOTS, strict=True), 1):
            node.ask("CLUSTER", "ADDSLOTSRANGE", *slots)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes))
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        yield Group(f"redis+cluster://{hosts}", nodes)


@contextmanager
def replicated_cluster(folder: Path) -> Iterator[Group]:
    """The same, and behind it a replica for each primary, in their order: six nodes."""
    replicas: list[Node] = []
    with cluster(folder) as group, ExitStack() as stack:
        for number, primary in enumerate(group.nodes):
            bus = free_port()
            replica = _member(stack, folder / f"replica{number}", bus)
            primary.ask("CLUSTER", "MEET", "127.0.0.1", replica.port, bus)
            mine = primary.ask("CLUSTER", "MYID")
            until(lambda: _accepts(replica, "CLUSTER", "REPLICATE", mine.decode()))  # noqa: B023 - called at once
            until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"))  # noqa: B023 - the same
            replicas.append(replica)
        yield Group(group.url, [*group.nodes, *replicas])


def take_over(group: Group, primary: int) -> None:
    """End a primary for good and have its replica keep its slots, without waiting for the others to miss it."""
    replica, others = group.nodes[primary + 3], [node for n, node in enumerate(group.nodes) if n != primary]
    group.nodes[primary].process.kill()
    group.nodes[primary].process.wait()
    replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
    mine = replica.ask("CLUSTER", "MYID")
    low = SLOTS[primary][0]
    until(lambda: all(_keeper(node, low) == mine for node in others))


def _keeper(node: Node, slot: int) -> object:
    """The id of the node that keeps the slot, as `node` believes."""
    ranges = node.ask("CLUSTER", "SLOTS")
    return next((each[2][2] for each in ranges if each[0] <= slot <= each[1]), None)


@contextmanager
def sentinel(folder: Path) -> Iterator[Group]:
    """A master, its replica, and one Sentinel that calls the service `mail`."""
    with ExitStack() as stack:
        master = start_node(stack, folder / "master")
        replica = start_node(stack, folder / "replica", "--replicaof", f"127.0.0.1 {master.port}")
        until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"))
        settings = folder / "sentinel.conf"
        settings.write_text(f"sentinel monitor mail 127.0.0.1 {master.port} 1\nsentinel failover-timeout mail 3000\n")
        watcher = start_node(stack, folder / "sentinel", str(settings), "--sentinel")
        until(lambda: len(watcher.ask("SENTINEL", "REPLICAS", "mail")) == 1)
        yield Group(f"redis+sentinel://127.0.0.1:{watcher.port}/mail", [master, replica, watcher])


def _member(stack: ExitStack, folder: Path, bus: int) -> Node:
    # The cluster's bus listens 10000 above the port unless it is told otherwise, which may be over 65535.
    settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "60000", "--cluster-port", str(bus))
    return start_node(stack, folder, *settings)


def start_node(stack: ExitStack, folder: Path, *settings: str) -> Node:
    """A server with these settings, its files in `folder`, stopped when `stack` ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    first, rest = (settings[:1], settings[1:]) if settings and not settings[0].startswith("--") else ((), settings)
    own = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    process = spawn(dying_with_parent([str(binary()), *first, *own, *rest], signal.SIGKILL), folder, folder / "log")
    stack.callback(stop, process, signal.SIGKILL)
    node = Node(port, process)
    if not await_ready(process, partial(_answers, node), PATIENCE):
        raise RuntimeError((folder / "log").read_text())
    return node


def fail_over(group: Group) -> None:
    """Have the Sentinel make the replica the master, and wait until it is."""
    _, replica, watcher = group.nodes
    # A Sentinel refuses until it has heard enough of the replica.
    until(lambda: _accepts(watcher, "SENTINEL", "FAILOVER", "mail"))
    until(lambda: b"role:master" in replica.ask("INFO", "replication"))


def _accepts(node: Node, *words: str) -> bool:
    try:
        node.ask(*words)
    except redis.ResponseError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`. Raises TimeoutError after half a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def _answers(node: Node) -> bool:
    try:
        return bool(node.ask("PING"))
    except redis.RedisError:
        return False


@pytest.fixture(scope="session")
def cluster_of_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """This test process' cluster, whatever it holds."""
    with cluster(tmp_path_factory.mktemp("cluster")) as group:
        yield group


@pytest.fixture
def valkey_cluster(cluster_of_process: Group) -> Group:
    """An empty cluster of three primaries."""
    cluster_of_process.flush()
    return cluster_of_process
