"""Poplar on a Redis Cluster: maildrops are held on all its nodes, and one that dies costs only what it kept. F3, G4.

The suites of tests/stores run every port against a cluster; here the real front end does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.backends.valkey_group import Group, Node, replicated_cluster, take_over
from tests.cli.conftest import await_true
from tests.system.clients.maildrop import Maildrop, Wire
from tests.system.front_end import FrontEnd, front_end

PATIENT = {"deadline": 10.0}


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Three primaries, each with a replica."""
    with replicated_cluster(tmp_path / "cluster") as running:
        yield running


@contextmanager
def held(front: FrontEnd, maildrops: list[Maildrop]) -> Iterator[None]:
    """A session in each of the maildrops."""
    wires: list[Wire] = []
    try:
        for each in maildrops:
            wire, answer = each.log_in(front.place())
            wires.append(wire)
            assert answer.startswith(b"+OK"), answer
        yield
        for wire in wires:
            assert wire.say(b"QUIT").startswith(b"+OK")
    finally:
        for wire in wires:
            wire.close()


def locks(node: Node) -> int:
    """How many maildrops the node keeps as held."""
    return len(node.ask("KEYS", "lock:*"))


def refused(front: FrontEnd, maildrop: Maildrop) -> bool:
    """Whether a second session is told that the maildrop is in use."""
    wire, answer = maildrop.log_in(front.place())
    wire.close()
    assert answer.startswith((b"+OK", b"-ERR [IN-USE] ")), answer
    return answer.startswith(b"-ERR")


def test_maildrops_are_held_on_a_cluster_and_on_the_replica_of_a_node_that_died(
    demo: RunningDemo, group: Group, tmp_path: Path
) -> None:
    maildrops = [Maildrop(demo, account) for account in demo.accounts]
    primaries = list(group.nodes[:3])
    with front_end(demo, tmp_path / "front", redis=PATIENT | {"url": group.url}) as front:
        with held(front, maildrops):
            assert sum(map(locks, primaries)) == len(maildrops)
            assert all(refused(front, each) for each in maildrops)
            dying = max(range(3), key=lambda n: locks(primaries[n]))
        await_true(lambda: sum(map(locks, primaries)) == 0, "every lease to be given back")

        group.nodes[dying].process.kill()
        group.nodes[dying].process.wait()
        others = [node for node in primaries if node is not group.nodes[dying]]
        # Nobody is turned away for it: whose node is gone is guarded by the fence alone, the newest session wins (G4).
        with held(front, maildrops):
            kept = sum(map(locks, others))
            assert kept < len(maildrops)
            assert kept == sum(refused(front, each) for each in maildrops)

        take_over(group, dying)
        living = [group.nodes[dying + 3], *others]
        await_true(lambda: _all_held(front, maildrops, living), "the replica to keep leases")


def _all_held(front: FrontEnd, maildrops: list[Maildrop], nodes: list[Node]) -> bool:
    with held(front, maildrops):
        return sum(map(locks, nodes)) == len(maildrops) and all(refused(front, each) for each in maildrops)
