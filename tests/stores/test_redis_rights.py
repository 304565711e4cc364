"""Poplar on a Valkey whose user may do what deploy/decisions/least-privilege.md says, and nothing else.

Each thing that Poplar does there is done once. The server's own record of refusals then tells what was missing, and its
count of commands what nobody needed. On a real Valkey, and as far as they need more, on Sentinels and a cluster.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from service.embedded.valkey import running_valkey
from service.mail.allowances import Circle
from service.mail.attempts import Charge
from service.mail.ports import Holder, Lease, Renewal
from service.model.account import MaildropKey
from service.model.attempts import Kind as Counter
from service.model.attempts import Subject, mark_of
from service.model.event import Event, Kind
from service.stores.redis import (
    Keeping,
    Limits,
    RedisAllowances,
    RedisAttempts,
    RedisMaildropLocks,
    RedisRecentLogins,
    RedisShowings,
)
from service.stores.redis.keys import lease_keys
from tests.backends.valkey_group import Group, cluster_of_process, sentinel, valkey_cluster

__all__ = ["cluster_of_process", "valkey_cluster"]

GUIDE = Path(__file__).resolve().parents[2] / "deploy" / "decisions" / "least-privilege.md"
NOW = datetime.now(UTC)
KEY = MaildropKey(UUID(int=7), UUID(int=8))
UNHURRIED = Limits(deadline=20.0)
# What the client library says of itself when it connects. The server keeps it; nothing comes of it where it may not.
UNASKED = {"client|setinfo"}
# Answered to everybody, before any right is looked at.
ALWAYS = {"auth", "hello", "select", "quit"}


def rule() -> list[str]:
    """The words of the guide's `ACL SETUSER`, after the user's name and its password."""
    found = re.search(
        r"^ACL SETUSER poplar on >PASSWORD (.+?)\n```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return found[1].replace("\\\n", " ").split()


def more(kind: str) -> list[str]:
    """The rights that the guide names for Sentinels or a cluster."""
    found = re.search(rf"`(\+[^`]*{kind}\|[^`]*)`", GUIDE.read_text("utf-8"))
    assert found is not None
    return found[1].split()


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Redis]:
    with running_valkey(tmp_path / "valkey", durable=False) as server:
        client = Redis.from_url(server.url, decode_responses=True)
        await client.execute_command(  # type: ignore[no-untyped-call]
            "ACL", "SETUSER", "poplar", "on", ">orchard", *rule()
        )
        yield client
        await client.aclose()


@pytest.fixture
def url(admin: Redis) -> str:
    port = admin.connection_pool.connection_kwargs["port"]
    return f"redis://poplar:orchard@127.0.0.1:{port}/0"


def lease(name: str) -> Lease:
    return Lease(KEY, uuid4().hex, Holder(f"s-{name}", "acme", "ada@acme.example", "192.0.2.1", "PLAIN", name, NOW))


async def everything(url: str) -> None:
    locks = RedisMaildropLocks(url, limits=UNHURRIED)
    await on_leases(locks)
    await on_counters(locks)
    await locks.aclose()
    recent = RedisRecentLogins(url, Keeping(4), UNHURRIED)
    refused = Event(Kind.REFUSAL, NOW, uuid4().hex, client="192.0.2.1", mechanism="PLAIN", key=KEY)
    await recent.take(
        [refused, refused._replace(kind=Kind.LOGIN), refused._replace(key=None, address="x@acme.example")]
    )
    # More kinds than it keeps.
    await recent.take([refused._replace(client=f"192.0.2.{last}", reason="wrong_secret") for last in range(9)])
    assert await recent.of(KEY)
    await recent.holder(KEY)
    await recent.aclose()


async def on_leases(locks: RedisMaildropLocks) -> None:
    one, another = lease("a"), lease("b")
    await locks.ping()
    await locks.facts()
    assert await locks.acquire(one)
    assert (await locks.renew([one])).lost == []
    assert await locks.seize(another)
    assert len(await locks.holders()) == 1
    assert await locks.evict(KEY)
    await locks.release(one)
    assert await locks.may_log_in(KEY, 60, 1)
    assert not await locks.may_log_in(KEY, 60, 1)
    showings = RedisShowings(locks.servers)
    await showings.note(KEY, "one", 60.0)
    assert await showings.last(KEY) == "one"


async def on_counters(locks: RedisMaildropLocks) -> None:
    allowances, attempts = RedisAllowances(locks.servers), RedisAttempts(locks.servers)
    circle = Circle("acme", 2)
    assert await allowances.enter(circle, "one")
    await allowances.stay(circle.name, ["one"])
    await allowances.leave(circle.name, "one")
    assert await allowances.spend(KEY, 10, 50) == 0
    assert await allowances.spend(KEY, 10, 5) > 0
    account, pair = Subject(Counter.ACCOUNT, "ada@acme.example"), Subject(Counter.PAIR, "ada@acme.example 192.0.2.1")
    await attempts.count([Charge(each, 1.0, 9.0, mark_of(each.name, "wrong"), 60.0) for each in (account, pair)])
    await attempts.standings([account, pair])
    assert await attempts.scored()
    await attempts.opened(pair, 60.0)
    assert await attempts.forget([account]) == 1


async def test_the_documented_user_suffices_and_each_of_its_rights_is_used(admin: Redis, url: str) -> None:
    await admin.config_resetstat()
    await everything(url)
    refused = [
        f"{entry['reason']}: {entry['object']}"
        for entry in await admin.acl_log()
        if entry["object"] not in UNASKED | ALWAYS
    ]
    assert refused == []
    used = {name.removeprefix("cmdstat_") for name in await admin.info("commandstats")}
    ours = {"acl|log", "config|resetstat", "info", "acl|setuser"}
    granted = {word[1:] for word in rule() if word.startswith("+")}
    assert used - ours - UNASKED - ALWAYS <= granted
    # `info` is the doctor's; the test itself asks for it too, so it can't be told from here whether it was.
    assert granted - used <= {"info"}
    patterns = {word[1:].rstrip("*:") for word in rule() if word.startswith("~")}
    assert {str(key).partition(":")[0] for key in await admin.keys()} <= patterns


async def test_at_sentinels_the_documented_user_suffices(tmp_path: Path) -> None:
    context = sentinel(tmp_path)
    group = await asyncio.to_thread(context.__enter__)
    try:
        watcher = group.nodes[2]
        rights = ("resetkeys", "resetchannels", "-@all", *more("sentinel"))
        await asyncio.to_thread(watcher.ask, "ACL", "SETUSER", "poplar", "on", ">orchard", *rights)
        await asyncio.to_thread(watcher.ask, "ACL", "SETUSER", "default", "-sentinel")
        url = f"{group.url}?sentinel_username=poplar&sentinel_password=orchard"
        locks = RedisMaildropLocks(url, limits=UNHURRIED)
        assert await locks.acquire(lease("a"))
        await locks.aclose()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def test_at_a_cluster_the_documented_user_suffices_while_a_slot_moves(valkey_cluster: Group) -> None:
    nodes = valkey_cluster.nodes
    one, key = lease("a"), lease_keys(KEY)[0]
    owner = valkey_cluster.owner(key)
    slot = int(owner.ask("CLUSTER", "KEYSLOT", key))
    other = next(node for node in nodes if node is not owner)
    for node in nodes:
        node.ask("ACL", "SETUSER", "poplar", "on", ">orchard", *rule(), *more("cluster"))
    locks = RedisMaildropLocks(valkey_cluster.url.replace("//", "//poplar:orchard@"), limits=UNHURRIED)
    try:
        assert await locks.acquire(one)
        other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.ask("CLUSTER", "MYID"))
        owner.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", other.ask("CLUSTER", "MYID"))
        owner.ask("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "KEYS", *lease_keys(KEY))
        assert (await locks.renew([one])) == Renewal([], [], [])
        assert await locks.release(one)
    finally:
        await locks.aclose()
        for node in nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
            node.ask("ACL", "DELUSER", "poplar")


@pytest.mark.parametrize(
    "words",
    [
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "requirepass"),
        ("ACL", "LIST"),
        ("GET", "another:key"),
        ("SET", "another:key", "x"),
        ("EVAL", "return redis.call('KEYS', '*')", "0"),
        ("EVAL", "return redis.call('GET', 'another:key')", "0"),
        ("SCRIPT", "FLUSH"),
        ("MONITOR",),
        ("CLIENT", "LIST"),
        ("SUBSCRIBE", "x"),
        ("REPLICAOF", "127.0.0.1", "1"),
    ],
)
async def test_the_documented_user_may_do_nothing_else(admin: Redis, url: str, words: tuple[str, ...]) -> None:
    assert admin
    client = Redis.from_url(url)
    with pytest.raises(ResponseError, match=r"(?i)no permissions|can't access|ACL failure"):
        await client.execute_command(*words)  # type: ignore[no-untyped-call]
    await client.aclose()
