"""What a login sees when Redis is slow, gone, full, read-only, somewhere else or someone else's (F3, F9, F12)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import trustme
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError

from service.mail.ports import Holder, Lease
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.stores.observing import Unobserved
from service.stores.redis import Limits, RedisMaildropLocks
from service.stores.redis.errors import CallFailed
from service.stores.redis.keys import lock_key
from service.stores.redis.servers import PING, Cluster, connect
from service.stores.redis.urls import parse_target
from service.stores.redis.wire import Wire
from tests.backends.relay import Relay, relay_to
from tests.backends.valkey_group import (
    Group,
    Node,
    cluster,
    cluster_of_process,
    fail_over,
    replicated_cluster,
    sentinel,
    start_node,
    take_over,
    valkey_cluster,
)

__all__ = ["cluster_of_process", "valkey_cluster"]

SHORT = Limits(deadline=0.3, pause=0.05)
PATIENT = Limits(deadline=20.0, pause=0.05)


class Counted(Unobserved):
    """Remembers the kinds of failures."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.outcomes: list[str] = []

    def store_failed(self, vendor: str, kind: str) -> None:
        assert vendor == "redis"
        self.kinds.append(kind)

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)


def lease(key: MaildropKey | None = None) -> Lease:
    holder = Holder(
        uuid4().hex, "one", "ann@one.example", "192.0.2.1", "PLAIN", "pod/7", datetime(2026, 1, 1, tzinfo=UTC)
    )
    return Lease(key or MaildropKey(UUID(int=7), uuid4()), uuid4().hex, holder)


async def refused(call: Awaitable[object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await call
    assert caught.value.reason is Reason.UNAVAILABLE
    return caught.value


async def succeeds(call: Awaitable[None]) -> bool:
    await call
    return True


async def eventually(call: Callable[[], Awaitable[bool]]) -> None:
    """Repeat `call` until it is true; what is refused meanwhile is forgiven. Raises TimeoutError after 30 s."""
    async with asyncio.timeout(30):
        while True:
            try:
                if await call():
                    return
            except Refusal:
                pass
            await asyncio.sleep(0.02)


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[Relay]:
    async with relay_to(urlsplit(redis_url).port or 0) as relay:
        yield relay


@pytest.fixture
def through_relay(redis_url: str, relay: Relay) -> str:
    return redis_url.replace(f":{urlsplit(redis_url).port}", f":{relay.port}")


async def test_commands_of_many_sessions_leave_in_one_pipeline(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=PATIENT)
    await locks.acquire(lease())
    before = relay.sends
    leases = [lease() for _ in range(200)]
    assert all(await asyncio.gather(*map(locks.acquire, leases)))
    assert relay.sends - before < 10
    before = relay.sends
    assert (await locks.renew(leases)).lost == []
    assert relay.sends - before < 10
    await locks.aclose()


async def test_a_connection_that_the_server_ended_meanwhile_is_not_used_again(redis_url: str) -> None:
    locks = RedisMaildropLocks(redis_url, limits=PATIENT)
    first = lease()
    assert await locks.acquire(first)
    client = Redis.from_url(redis_url)
    execute: Callable[..., Awaitable[object]] = client.execute_command
    await execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert not await locks.acquire(lease(first.key)), "no login may fail because a server closed what was idle"
    await client.aclose()
    await locks.aclose()


async def test_what_nobody_asked_for_is_never_an_answer(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=PATIENT)
    theirs = lease()
    assert await locks.acquire(theirs)

    async def is_left() -> bool:
        return relay.ended == relay.connections == 1

    # Whoever read it as the answer to its own question would believe to hold a maildrop that another holds.
    relay.interject(b":1\r\n")
    await eventually(is_left)
    assert not await locks.acquire(lease(theirs.key))
    await locks.aclose()


async def test_a_server_that_still_loads_its_data_costs_no_connections() -> None:
    open_ones: set[asyncio.StreamWriter] = set()

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        while octets := await reader.read(1 << 16):
            for command in octets.split(b"*")[1:]:
                # What makes a connection is answered meanwhile; nothing else is.
                writer.write(
                    b"-LOADING Redis is loading the dataset in memory\r\n" if b"GET" in command else b"+OK\r\n"
                )
        open_ones.discard(writer)
        writer.close()

    async with await asyncio.start_server(loading, "127.0.0.1", 0) as server:
        client = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1], protocol=2)
        wire = Wire(client.connection_pool)
        for _ in range(5):
            with pytest.raises(BusyLoadingError):
                await wire([("GET", "x")])

        async def are_gone() -> bool:
            return not open_ones

        await eventually(are_gone)
        await wire.aclose()


async def test_few_connections_carry_many_sessions(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=replace(PATIENT, connections=2))

    async def session(turns: int) -> None:
        for _ in range(turns):
            mine = lease()
            assert await locks.acquire(mine)
            await asyncio.sleep(0)
            await locks.release(mine)

    await asyncio.gather(*(session(turns % 7 + 1) for turns in range(100)))
    assert relay.connections <= 2
    await locks.aclose()


async def test_f3_a_silent_redis_is_unavailable_at_the_deadline_and_fails_fast_afterwards(
    through_relay: str, relay: Relay
) -> None:
    counted = Counted()
    locks = RedisMaildropLocks(through_relay, limits=replace(SHORT, pause=60.0), observer=counted)
    await locks.acquire(lease())
    relay.fall_silent()
    await asyncio.gather(*(refused(locks.acquire(lease())) for _ in range(3)))
    assert counted.kinds == ["timeout"] * 3
    sent = relay.sends
    for _ in range(100):
        await refused(locks.acquire(lease()))
    assert counted.kinds[3:] == ["breaker"] * 100
    assert relay.sends == sent
    await locks.aclose()


async def test_f3_service_returns_by_itself_once_redis_answers_again(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=SHORT)
    relay.fall_silent()
    await refused(locks.acquire(lease()))
    relay.speak()
    await eventually(lambda: locks.acquire(lease()))
    assert await locks.acquire(lease())
    await locks.aclose()


async def test_a_late_reply_is_never_read_by_another_caller(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=SHORT)
    mine, theirs = lease(), lease()
    assert await locks.acquire(theirs)
    relay.fall_silent()
    # Its late answer is 1; whoever read it as theirs would believe to hold a maildrop that another holds.
    await refused(locks.acquire(mine))
    relay.speak()
    await eventually(lambda: locks.acquire(lease()))
    for _ in range(20):
        assert not await locks.acquire(lease(theirs.key))
    await locks.aclose()


@pytest.mark.parametrize("ask", [RedisMaildropLocks.acquire, RedisMaildropLocks.seize])
async def test_f13_who_is_cancelled_before_a_lease_comes_leaves_the_maildrop_free(
    through_relay: str, relay: Relay, ask: Callable[[RedisMaildropLocks, Lease], Awaitable[bool]]
) -> None:
    locks = RedisMaildropLocks(through_relay, limits=PATIENT, lease_seconds=300)
    # The server knows the script from now on, and does as it is told at once.
    await ask(locks, lease())
    relay.fall_silent()
    mine = lease()
    asked = asyncio.ensure_future(ask(locks, mine))
    await asyncio.sleep(0.2)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert asked.cancelled()
    relay.speak()
    await eventually(lambda: locks.acquire(lease(mine.key)))
    await locks.aclose()


async def test_a_lease_that_could_not_be_asked_for_is_not_lost(through_relay: str, relay: Relay) -> None:
    locks = RedisMaildropLocks(through_relay, limits=SHORT)
    leases = [lease() for _ in range(3)]
    for each in leases:
        await locks.acquire(each)
    relay.fall_silent()
    await refused(locks.renew(leases))
    relay.speak()
    await eventually(lambda: locks.acquire(lease()))
    assert (await locks.renew(leases)).lost == []
    await locks.aclose()


async def test_f3_a_redis_that_is_gone_is_unavailable(redis_url: str) -> None:
    counted = Counted()
    locks = RedisMaildropLocks("redis://:secret@127.0.0.1:9/0", limits=SHORT, observer=counted)
    for call in (locks.acquire(lease()), locks.release(lease()), locks.renew([lease()]), locks.ping(), locks.holders()):
        await refused(call)
    assert "secret" not in str(await refused(locks.evict(lease().key)))
    assert counted.kinds[0] == "connection"
    assert set(counted.outcomes) == {"failed"}
    await locks.aclose()


async def test_a_wrong_password_is_unavailable_and_not_told(redis_url: str) -> None:
    parts = urlsplit(redis_url)
    counted = Counted()
    locks = RedisMaildropLocks(f"redis://:wrong@127.0.0.1:{parts.port}/0", limits=SHORT, observer=counted)
    assert "wrong" not in str(await refused(locks.acquire(lease())))
    assert counted.kinds == ["denied"]
    await locks.aclose()


async def test_f12_a_full_redis_is_unavailable_and_still_releases(tmp_path: Path) -> None:
    counted = Counted()
    with ExitStack() as stack:
        node = start_node(stack, tmp_path)
        locks = RedisMaildropLocks(f"redis://127.0.0.1:{node.port}", limits=PATIENT, observer=counted)
        mine = lease()
        assert await locks.acquire(mine)
        await asyncio.to_thread(node.ask, "CONFIG", "SET", "maxmemory", "1")
        await refused(locks.acquire(lease()))
        assert counted.kinds == ["full"]
        await locks.release(mine)
        await asyncio.to_thread(node.ask, "CONFIG", "SET", "maxmemory", "0")
        assert await locks.acquire(lease(mine.key))
        await locks.aclose()


async def test_a_read_only_redis_is_unavailable(tmp_path: Path) -> None:
    counted = Counted()
    with ExitStack() as stack:
        node = start_node(stack, tmp_path, "--replicaof", "127.0.0.1 9")
        locks = RedisMaildropLocks(f"redis://127.0.0.1:{node.port}", limits=PATIENT, observer=counted)
        await refused(locks.acquire(lease()))
        assert counted.kinds == ["read_only"]
        await locks.aclose()


async def test_doctor_is_warned_of_a_redis_that_would_drop_leases(tmp_path: Path) -> None:
    with ExitStack() as stack:
        node = start_node(stack, tmp_path)
        locks = RedisMaildropLocks(f"redis://127.0.0.1:{node.port}", limits=PATIENT)
        await locks.ping()
        assert (await locks.facts()).warnings == ()
        await asyncio.to_thread(node.ask, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        facts = await locks.facts()
        assert "allkeys-lru" in facts.warnings[0]
        assert facts.mode == "standalone"
        await locks.aclose()


async def test_an_entry_of_another_release_is_not_listed_and_harms_nothing(redis_url: str) -> None:
    locks = RedisMaildropLocks(redis_url)
    mine = lease()
    await locks.acquire(mine)
    async with Redis.from_url(redis_url) as client:
        for number, text in enumerate(
            ["", "x", "[]", "{}", '{"since":1}', '{"since":"2026-01-01","more":1}', "\udcff"]
        ):
            await client.set(f"session:{{{number}}}", text.encode("utf-8", "surrogateescape"))
    assert list(await locks.holders()) == [mine.holder]
    await locks.aclose()


async def test_rediss_speaks_tls_and_believes_only_the_given_authority(
    redis_url: str, ca: trustme.CA, tmp_path: Path
) -> None:
    parts = urlsplit(redis_url)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with relay_to(parts.port or 0, tls) as relay:
        url = f"rediss://:{parts.password}@127.0.0.1:{relay.port}/0"
        locks = RedisMaildropLocks(f"{url}?ssl_ca_certs={tmp_path}/ca.pem", limits=PATIENT)
        assert await locks.acquire(lease())
        await locks.aclose()
        doubting = RedisMaildropLocks(url, limits=PATIENT)
        await refused(doubting.acquire(lease()))
        await doubting.aclose()


async def test_sentinels_over_tls_are_believed_by_the_same_authority(ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    asked: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(4096))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        locks = RedisMaildropLocks(f"rediss+sentinel://127.0.0.1:{port}/mail?ssl_ca_certs={tmp_path}/ca.pem")
        await refused(locks.acquire(lease()))
        await locks.aclose()
    assert asked[0].startswith(b"*")


def keys_of(group: Group) -> list[MaildropKey]:
    """For each node of a cluster, a maildrop that it keeps."""
    found: dict[int, MaildropKey] = {}
    while len(found) < len(group.nodes):
        key = MaildropKey(UUID(int=7), uuid4())
        found[group.owner(lock_key(key)).port] = key
    return [found[node.port] for node in group.nodes]


async def test_f9_a_node_of_a_cluster_out_of_reach_costs_only_what_it_keeps(valkey_cluster: Group) -> None:
    locks = RedisMaildropLocks(valkey_cluster.url, limits=SHORT)
    keys = await asyncio.to_thread(keys_of, valkey_cluster)
    assert all(await asyncio.gather(*(locks.acquire(lease(key)) for key in keys)))
    valkey_cluster.nodes[0].pause()
    try:
        answers = await asyncio.gather(*(locks.acquire(lease(key)) for key in keys), return_exceptions=True)
        assert isinstance(answers[0], Refusal)
        assert answers[1:] == [False, False]
        await refused(locks.acquire(lease(keys[0])))
        assert not await locks.acquire(lease(keys[1]))
    finally:
        valkey_cluster.nodes[0].resume()
    mine = lease(keys[0])
    await asyncio.to_thread(valkey_cluster.flush)
    await eventually(lambda: locks.acquire(mine))
    await locks.aclose()


async def test_a_slot_that_moved_to_another_node_is_followed(valkey_cluster: Group) -> None:
    locks = RedisMaildropLocks(valkey_cluster.url, limits=PATIENT)
    key = (await asyncio.to_thread(keys_of, valkey_cluster))[0]
    assert await locks.acquire(lease())
    old, new = valkey_cluster.nodes[:2]
    slot = int(await asyncio.to_thread(old.ask, "CLUSTER", "KEYSLOT", lock_key(key)))

    def move(to: str) -> None:
        for node in valkey_cluster.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to)

    await asyncio.to_thread(move, (await asyncio.to_thread(new.ask, "CLUSTER", "MYID")).decode())
    try:
        mine = lease(key)
        assert await locks.acquire(mine)
        assert not await locks.acquire(lease(key))
        assert (await locks.renew([mine])).lost == []
        await locks.release(mine)
    finally:
        await asyncio.to_thread(move, (await asyncio.to_thread(old.ask, "CLUSTER", "MYID")).decode())
    await locks.aclose()


async def test_a_cluster_tells_doctor_what_it_is(valkey_cluster: Group) -> None:
    locks = RedisMaildropLocks(valkey_cluster.url, limits=PATIENT)
    await locks.ping()
    assert (await locks.facts()).mode == "cluster"
    await locks.aclose()


async def test_doctor_tries_a_lease_on_every_node_of_a_cluster(valkey_cluster: Group) -> None:
    locks = RedisMaildropLocks(valkey_cluster.url, limits=PATIENT)
    await locks.ping()
    await locks.try_out()
    for node in valkey_cluster.nodes:
        assert await asyncio.to_thread(node.ask, "DBSIZE") == 0
        await asyncio.to_thread(node.ask, "CONFIG", "SET", "maxmemory", 1)
        try:
            assert (await refused(locks.try_out())).cause == "redis: full"
        finally:
            await asyncio.to_thread(node.ask, "CONFIG", "SET", "maxmemory", 0)
    await locks.aclose()


async def test_sentinels_new_master_is_followed(tmp_path: Path) -> None:
    context = sentinel(tmp_path)
    group = await asyncio.to_thread(context.__enter__)
    try:
        locks = RedisMaildropLocks(group.url, limits=replace(SHORT, deadline=1.0))
        await eventually(lambda: succeeds(locks.try_out()))
        mine = lease()
        assert await locks.acquire(mine)
        assert not await locks.acquire(lease(mine.key))
        await asyncio.to_thread(fail_over, group)
        # The replica may have missed the last lease: a renewal brings it back, or finds it there.

        async def renewed() -> bool:
            return (await locks.renew([mine])).lost == []

        await eventually(renewed)
        await eventually(lambda: locks.acquire(lease()))
        await locks.aclose()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def clients_of(node: Node) -> set[bytes]:
    """The ids of the connections that Poplar has to a server."""
    lines: bytes = node.ask("CLIENT", "LIST")
    return {line.split()[0] for line in lines.splitlines() if b" name=poplar" in line}


async def test_f9_a_former_master_that_still_takes_writes_is_left_for_sentinels_new_one(tmp_path: Path) -> None:
    context = sentinel(tmp_path)
    group = await asyncio.to_thread(context.__enter__)
    try:
        former, new, watcher = group.nodes
        locks = RedisMaildropLocks(group.url, limits=PATIENT)
        await asyncio.gather(*(locks.acquire(lease()) for _ in range(3)))
        # The former master hears nothing of it: it goes on as one, and ends no connection.
        await asyncio.to_thread(watcher.ask, "SENTINEL", "REMOVE", "mail")
        await asyncio.to_thread(new.ask, "REPLICAOF", "NO", "ONE")
        await asyncio.to_thread(watcher.ask, "SENTINEL", "MONITOR", "mail", "127.0.0.1", new.port, 1)

        async def arrives() -> bool:
            mine = lease()
            await locks.acquire(mine)
            return bool(await asyncio.to_thread(new.ask, "EXISTS", lock_key(mine.key)))

        await eventually(arrives)
        assert await asyncio.to_thread(clients_of, former) == set()
        await locks.aclose()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def test_a_server_that_became_a_replica_keeps_no_connection(tmp_path: Path) -> None:
    with ExitStack() as stack:
        node = start_node(stack, tmp_path)
        locks = RedisMaildropLocks(f"redis://127.0.0.1:{node.port}", limits=PATIENT)
        assert await locks.acquire(lease())
        before = await asyncio.to_thread(clients_of, node)
        # Of itself a server ends no connection then; behind one name another may be the master now.
        await asyncio.to_thread(node.ask, "REPLICAOF", "127.0.0.1", 9)
        await refused(locks.acquire(lease()))

        async def left() -> bool:
            return not before & await asyncio.to_thread(clients_of, node)

        assert before
        await eventually(left)
        await locks.aclose()


async def test_a_node_that_left_the_cluster_is_forgotten(tmp_path: Path) -> None:
    context = replicated_cluster(tmp_path)
    group = await asyncio.to_thread(context.__enter__)
    try:
        servers = connect(parse_target(group.url), PATIENT)
        assert isinstance(servers, Cluster)
        keys = [lock_key(key) for key in await asyncio.to_thread(keys_of, replace(group, nodes=group.nodes[:3]))]

        async def all_answer() -> bool:
            with suppress(CallFailed):
                return [await servers.keeping(key).submit(PING) for key in keys] == [b"PONG"] * 3
            return False

        await servers.keeping(keys[0]).submit(PING)
        assert await all_answer()
        await asyncio.to_thread(take_over, group, 0)
        await eventually(all_answer)
        living = {f"127.0.0.1:{node.port}" for node in group.nodes[1:4]}
        assert set(servers._nodes) == living
        await servers.aclose()
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def test_a_cluster_that_came_back_under_other_addresses_is_found_by_its_name(tmp_path: Path) -> None:
    """As pods do. To whoever asks, another cluster is the same one with its nodes elsewhere."""
    with ExitStack() as stack:
        old, new = [await asyncio.to_thread(stack.enter_context, cluster(tmp_path / name)) for name in ("old", "new")]
        async with relay_to(old.nodes[0].port) as name:
            locks = RedisMaildropLocks(f"redis+cluster://127.0.0.1:{name.port}", limits=replace(SHORT, deadline=1.0))
            for _ in range(10):
                assert await locks.acquire(lease())
            for node in old.nodes:
                node.process.kill()
            name.lead_to(new.nodes[0].port)
            for _ in range(10):
                mine = lease()
                await eventually(partial(locks.acquire, mine))
            await locks.aclose()


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "service"),
    [
        ("redis://h:1/2", "single", (), ""),
        ("rediss://u:p@h/0?ssl_ca_certs=/ca.pem", "single", (), ""),
        ("unix:///run/redis.sock?db=1", "single", (), ""),
        ("redis+sentinel://a:1,b/mail/3", "sentinel", (("a", 1), ("b", 26379)), "mail"),
        ("rediss+sentinel://u:p@[::1]:5/mail?sentinel_password=x", "sentinel", (("::1", 5),), "mail"),
        ("redis+cluster://u:p@a,b:2", "cluster", (("a", 6379), ("b", 2)), ""),
    ],
)
def test_a_redis_url_says_where_redis_is(url: str, kind: str, hosts: tuple[object, ...], service: str) -> None:
    target = parse_target(url)
    assert (target.kind, target.hosts, target.service) == (kind, hosts, service)
    assert target.tls == url.startswith("rediss")


def test_a_redis_url_carries_login_database_and_options() -> None:
    target = parse_target("rediss+sentinel://u:p%40x@a/mail/3?sentinel_password=s&ssl_ca_certs=/ca.pem")
    assert target.options == {"username": "u", "password": "p@x", "db": 3, "ssl_ca_certs": "/ca.pem"}
    assert target.sentinel_options == {"password": "s"}
    assert "p%40x" not in repr(replace(target, url=""))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h",
        "redis+sentinel://h",
        "redis+cluster://",
        "unix+cluster://h",
        "redis+x://h",
        "redis://h/0?colour=red",
    ],
)
def test_a_redis_url_that_means_nothing_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"Redis|redis"):
        RedisMaildropLocks(url)


@pytest.mark.parametrize(
    "url", ["rediss+cluster://u:p@127.0.0.1:9", "rediss+sentinel://127.0.0.1:9/mail", "redis+cluster://127.0.0.1:9"]
)
async def test_servers_out_of_reach_are_unavailable_however_they_are_found(url: str) -> None:
    locks = RedisMaildropLocks(url, limits=SHORT)
    await refused(locks.acquire(lease()))
    await locks.aclose()
