"""The register of recent logins and refusals, in memory, on a real Valkey and on a cluster of three. G15, G17."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from service.mail.ports import Holder, Lease
from service.mail.recent import IN_BUCKET, RecentLogins, UnknownName
from service.model.account import MaildropKey
from service.model.event import Event, Kind
from service.model.refusal import Reason, Refusal
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.recent import MemoryRecentLogins
from service.stores.redis import RedisMaildropLocks
from service.stores.redis.batch import Limits
from service.stores.redis.recent import Keeping, RedisRecentLogins
from tests.backends.valkey_group import Group, cluster_of_process, valkey_cluster
from tests.mail.provider import SetClock

__all__ = ["cluster_of_process", "valkey_cluster"]

SORTS = 4
NOW = datetime.now(UTC).replace(microsecond=0)
KEY = MaildropKey(UUID(int=1), UUID(int=2))
OTHER = MaildropKey(UUID(int=1), UUID(int=3))
UNHURRIED = Limits(deadline=20.0)


@pytest.fixture(params=["memory", "valkey", "cluster"])
async def recent(request: pytest.FixtureRequest) -> AsyncIterator[RecentLogins]:
    if request.param == "memory":
        yield MemoryRecentLogins(SetClock(NOW), MemoryMaildropLocks(SetClock(NOW)), SORTS)
        return
    if request.param == "valkey":
        url = request.getfixturevalue("redis_url")
    else:
        group: Group = request.getfixturevalue("valkey_cluster")
        url = group.url
    register = RedisRecentLogins(url, Keeping(SORTS), UNHURRIED)
    yield register
    await register.aclose()


def happened(kind: Kind, minutes: float, client: str = "192.0.2.1", **more: str) -> Event:
    """An event so many minutes ago, of the one maildrop."""
    event = Event(kind, NOW - timedelta(minutes=minutes), uuid4().hex, client=client, mechanism="PLAIN", key=KEY)
    return event._replace(address="ada@acme.example", **more)  # type: ignore[arg-type]


def refused(minutes: float, client: str = "192.0.2.1", **more: str) -> Event:
    return happened(Kind.REFUSAL, minutes, client, reason="wrong_secret", **more)


async def test_what_is_the_same_is_counted_and_what_differs_is_told_apart(recent: RecentLogins) -> None:
    polls = [happened(Kind.LOGIN, minutes, session=f"s{minutes}") for minutes in (50, 40, 30)]
    await recent.take([*polls, refused(20), happened(Kind.LOGIN, 10, "198.51.100.2", credential="phone")])
    phone, wrong, polling = await recent.of(KEY)
    assert (phone.kind, phone.client, phone.credential, phone.count) == (Kind.LOGIN, "198.51.100.2", "phone", 1)
    assert (wrong.kind, wrong.reason, wrong.mechanism) == (Kind.REFUSAL, "wrong_secret", "PLAIN")
    assert (polling.count, polling.session) == (3, "s30")
    assert (polling.first, polling.last) == (polls[0].moment, polls[2].moment)
    assert await recent.of(OTHER) == []


async def test_a_detail_that_changes_each_time_makes_no_other_sort(recent: RecentLogins) -> None:
    await recent.take([refused(9 - number, detail=f"held back: {number} wrong passwords") for number in range(9)])
    (held,) = await recent.of(KEY)
    assert (held.count, held.detail) == (9, "held back: 8 wrong passwords")


async def test_events_without_ids_are_counted_too_and_each_once(recent: RecentLogins) -> None:
    """Where the register is all that takes events, as most often, none has an id."""
    polls = [
        happened(Kind.LOGIN, minutes, session=session)._replace(event_id="")
        for minutes, session in ((50, "a1"), (40, "b2"), (40, "b2"), (30, "c3"))
    ]
    await recent.take(polls)
    (polling,) = await recent.of(KEY)
    assert (polling.count, polling.first, polling.last) == (3, polls[0].moment, polls[3].moment)


async def test_the_same_event_handed_on_again_is_not_counted_again(recent: RecentLogins) -> None:
    event = refused(5)
    for _ in range(3):
        await recent.take([event])
    assert [attempt.count for attempt in await recent.of(KEY)] == [1]


async def test_only_logins_and_refusals_are_kept(recent: RecentLogins) -> None:
    await recent.take([happened(kind, 1) for kind in (Kind.END, Kind.REMOVAL, Kind.DELIVERY_REFUSAL)])
    await recent.take([Event(Kind.DROPPED), Event(Kind.REFUSAL, reason="no_proof")])
    assert await recent.of(KEY) == []


async def test_the_longest_silent_sort_gives_way_and_refusals_drive_out_no_login(recent: RecentLogins) -> None:
    await recent.take([happened(Kind.LOGIN, 600)])
    for minutes in range(30, 0, -1):
        await recent.take([refused(minutes, f"203.0.113.{minutes}")])
    kept = await recent.of(KEY)
    assert [attempt.client for attempt in kept] == [*(f"203.0.113.{n}" for n in range(1, SORTS + 1)), "192.0.2.1"]
    assert kept[-1].kind is Kind.LOGIN


async def test_an_unknown_name_is_found_by_itself_alone(recent: RecentLogins) -> None:
    typo = refused(3)._replace(key=None, address="", name="adda@acme.example", reason="unknown_name")
    await recent.take([typo, typo, typo._replace(event_id=uuid4().hex)])
    (found,) = await recent.of(UnknownName("adda@acme.example"))
    assert (found.count, found.reason, found.client) == (2, "unknown_name", "192.0.2.1")
    assert await recent.of(UnknownName("ada@acme.example")) == []


async def test_unknown_names_without_end_fill_no_memory(recent: RecentLogins) -> None:
    mine = UnknownName("adda@acme.example")
    same = (f"x{n}@acme.example" for n in range(10**9))
    neighbours = (name for name in same if UnknownName(name).bucket == mine.bucket)
    crowd = [next(neighbours) for _ in range(IN_BUCKET)]
    for minutes, name in enumerate([*crowd, mine.address]):
        await recent.take([refused(100 - minutes)._replace(key=None, name=name)])
    assert len(await recent.of(mine)) == 1
    assert [len(await recent.of(UnknownName(name))) for name in crowd] == [0] + [1] * (IN_BUCKET - 1)


async def test_what_is_too_long_ago_is_not_told(recent: RecentLogins) -> None:
    await recent.take([refused(60 * 24 * 15), refused(1, "198.51.100.9")])
    assert [attempt.client for attempt in await recent.of(KEY)] == ["198.51.100.9"]


async def test_a_register_that_nobody_adds_to_ends_and_names_nobody(redis_url: str) -> None:
    register = RedisRecentLogins(redis_url, Keeping(SORTS, timedelta(days=2)), UNHURRIED)
    typed = refused(1)._replace(key=None, address="", name="hunter2@acme.example")
    await register.take([refused(1), typed])
    client = Redis.from_url(redis_url)
    keys = [key async for key in client.scan_iter()]
    assert len(keys) == 2
    for key in keys:
        assert 0 < await client.pttl(key) <= 2 * 24 * 3600 * 1000
        assert "hunter2" not in f"{key!r} {await client.hgetall(key)!r}"
    await client.aclose()
    await register.aclose()


async def test_what_another_release_wrote_is_passed_over(redis_url: str) -> None:
    register = RedisRecentLogins(redis_url, limits=UNHURRIED)
    await register.take([refused(1)])
    client = Redis.from_url(redis_url)
    (key,) = [key async for key in client.scan_iter()]
    for field, text in (("r1", "1|2"), ("x2", "1|2|3|a|[]"), ("r3", "a|b|c|d|{}"), ("r4", b"\xff")):
        await client.hset(key, field, text)
    await client.aclose()
    assert len(await register.of(KEY)) == 1
    await register.take([refused(0.5, "203.0.113.9")])
    assert len(await register.of(KEY)) == 2
    await register.aclose()


async def test_it_tells_who_holds_a_maildrop(redis_url: str) -> None:
    register = RedisRecentLogins(redis_url, limits=UNHURRIED)
    locks = RedisMaildropLocks(redis_url, limits=UNHURRIED)
    holder = Holder("s", "acme", "ada@acme.example", "192.0.2.1", "PLAIN", "pod:1", NOW)
    assert await register.holder(KEY) is None
    assert await locks.acquire(Lease(KEY, "token", holder))
    assert await register.holder(KEY) == holder
    assert await register.holder(OTHER) is None
    await locks.aclose()
    await register.aclose()


async def test_without_redis_it_refuses_within_its_deadline() -> None:
    register = RedisRecentLogins("redis://127.0.0.1:1/0")
    for asked in (register.take([refused(1)]), register.of(KEY), register.holder(KEY)):
        async with asyncio.timeout(30):
            with pytest.raises(Refusal) as gone:
                await asked
        assert gone.value.reason is Reason.UNAVAILABLE
    await register.aclose()
