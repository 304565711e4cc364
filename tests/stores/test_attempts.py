"""Every promise of `Attempts`, on the in-memory twin, a real Valkey and a real cluster of three."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from service.mail.attempts import Attempts, Charge, Counted, Standby
from service.model.attempts import LIGHT, NEW, Kind, Standing, Subject, mark_of
from service.model.refusal import Reason, Refusal
from service.stores.memory.attempts import MemoryAttempts
from service.stores.redis import RedisAttempts, RedisMaildropLocks
from service.stores.redis.batch import Limits
from tests.backends.redis_kinds import KINDS, reached
from tests.backends.relay import relay_to
from tests.backends.valkey_group import cluster_of_process, valkey_cluster
from tests.mail.provider import SetClock
from tests.stores.test_redis_faults import lease

__all__ = ["cluster_of_process", "valkey_cluster"]

HALF_LIFE = 1000.0
ADDRESS = Subject(Kind.ADDRESS, "192.0.2.1")
NETWORK = Subject(Kind.NETWORK, "2001:db8::/48")
ACCOUNT = Subject(Kind.ACCOUNT, "zoë@acme.example")
PAIR = Subject(Kind.PAIR, "zoë@acme.example 192.0.2.1")
TENANT = Subject(Kind.TENANT, "acme")
EVERYBODY = (ADDRESS, NETWORK, ACCOUNT, PAIR, TENANT)
MARK = mark_of(ACCOUNT.name, "wrong")


class OnMemory:
    """The twin, and how to make time pass for it."""

    def __init__(self) -> None:
        self._clock = SetClock()
        self.attempts: Attempts = MemoryAttempts(self._clock, HALF_LIFE)

    async def let_pass(self, seconds: float) -> None:
        self._clock.seconds += seconds


class OnRedis:
    """A real server or cluster; time passes by having each key written and ending so much earlier."""

    def __init__(self, locks: RedisMaildropLocks, client: Redis | RedisCluster) -> None:
        self.attempts: Attempts = RedisAttempts(locks.servers, half_life=HALF_LIFE)
        self.client = client

    async def let_pass(self, seconds: float) -> None:
        milliseconds = round(seconds * 1000)
        async for key in self.client.scan_iter():
            if await self.client.type(key) == b"hash":
                await self.client.hincrby(key, "at", -milliseconds)
            await self.client.pexpire(key, await self.client.pttl(key) - milliseconds)


Backend = OnMemory | OnRedis


@pytest.fixture(params=["memory", *KINDS])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield OnMemory()
        return
    async with reached(request) as there:
        yield OnRedis(there.locks, there.client)


@pytest.fixture
def attempts(backend: Backend) -> Attempts:
    return backend.attempts


def charge(subject: Subject = ACCOUNT, weight: float = NEW, mark: str = "", keep: float = 0.0) -> Charge:
    return Charge(subject, weight, 10.0, mark, keep)


async def failed(attempts: Attempts, times: int, subject: Subject = ACCOUNT) -> None:
    for _ in range(times):
        await attempts.count([charge(subject)])


async def score(attempts: Attempts, subject: Subject = ACCOUNT) -> float:
    (standing,) = await attempts.standings([subject])
    return standing.score


async def known(attempts: Attempts, pair: Subject = PAIR) -> float:
    (standing,) = await attempts.standings([pair])
    return standing.known


async def test_who_never_failed_has_no_score(attempts: Attempts) -> None:
    assert list(await attempts.standings(EVERYBODY, MARK)) == [Standing(subject, 0.0) for subject in EVERYBODY]
    assert await attempts.scored() == []


async def test_each_is_charged_by_itself_and_told_in_order(attempts: Attempts) -> None:
    await failed(attempts, 2, TENANT)
    counted = await attempts.count([charge(subject) for subject in EVERYBODY])
    assert [each.subject for each in counted] == list(EVERYBODY)
    assert [each.after for each in counted] == pytest.approx([1, 1, 1, 1, 3], abs=0.05)
    assert [each.before for each in counted] == pytest.approx([0, 0, 0, 0, 2], abs=0.05)
    assert [each.score for each in await attempts.standings(EVERYBODY)] == pytest.approx([1, 1, 1, 1, 3], abs=0.05)


async def test_many_at_once_are_all_counted(attempts: Attempts) -> None:
    await asyncio.gather(*(attempts.count([Charge(ADDRESS, NEW, 1000.0)]) for _ in range(100)))
    assert await score(attempts, ADDRESS) == pytest.approx(100, rel=0.15)


async def test_a_score_halves_with_each_half_life(backend: Backend, attempts: Attempts) -> None:
    await failed(attempts, 8)
    await backend.let_pass(HALF_LIFE)
    assert await score(attempts) == pytest.approx(4, rel=0.1)
    await backend.let_pass(2 * HALF_LIFE)
    assert await score(attempts) == pytest.approx(1, rel=0.1)


async def test_what_is_added_is_added_to_what_is_left(backend: Backend, attempts: Attempts) -> None:
    await failed(attempts, 4)
    await backend.let_pass(HALF_LIFE)
    (counted,) = await attempts.count([charge()])
    assert (counted.before, counted.after) == pytest.approx((2, 3), rel=0.1)


async def test_a_score_that_has_faded_is_forgotten_altogether(backend: Backend, attempts: Attempts) -> None:
    await failed(attempts, 4)
    await backend.let_pass(4 * HALF_LIFE)
    assert await score(attempts) == 0
    if isinstance(backend, OnRedis):
        assert [key async for key in backend.client.scan_iter()] == []


async def test_every_key_ends_by_itself(backend: Backend, attempts: Attempts) -> None:
    await attempts.count([charge(subject, mark=MARK, keep=5000.0) for subject in EVERYBODY])
    await attempts.opened(PAIR, 300.0)
    if isinstance(backend, OnRedis):
        keys = [key async for key in backend.client.scan_iter()]
        assert len(keys) == len(EVERYBODY)
        assert all([0 < await backend.client.pttl(key) <= 5_000_000 for key in keys])


async def test_a_score_has_a_bound_and_is_never_lowered_to_it(attempts: Attempts) -> None:
    await failed(attempts, 15)
    assert await score(attempts) == pytest.approx(10, abs=0.2)
    (counted,) = await attempts.count([Charge(ACCOUNT, NEW, 5.0)])
    assert counted.after == pytest.approx(10, abs=0.2)


async def test_light_failures_add_up_too(attempts: Attempts) -> None:
    for _ in range(50):
        await attempts.count([charge(weight=LIGHT)])
    assert await score(attempts) == pytest.approx(1, rel=0.1)


async def test_a_mark_is_known_again_for_its_own_account_alone(attempts: Attempts) -> None:
    await attempts.count([charge(mark=MARK)])
    other = Subject(Kind.ACCOUNT, "other@acme.example")
    await attempts.count([charge(other, mark=mark_of(other.name, "else"))])
    standings = await attempts.standings([ACCOUNT, other, ADDRESS], MARK)
    assert [each.repeated for each in standings] == [True, False, False]
    assert not (await attempts.standings([ACCOUNT]))[0].repeated


async def test_a_mark_outlives_the_score_as_long_as_it_is_kept(backend: Backend, attempts: Attempts) -> None:
    await attempts.count([charge(mark=MARK, keep=100 * HALF_LIFE)])
    await backend.let_pass(50 * HALF_LIFE)
    (standing,) = await attempts.standings([ACCOUNT], MARK)
    assert (standing.score, standing.repeated) == (0, True)
    # A failure without a mark doesn't shorten that.
    await attempts.count([charge()])
    await backend.let_pass(40 * HALF_LIFE)
    assert (await attempts.standings([ACCOUNT], MARK))[0].repeated


async def test_only_so_many_marks_are_kept_and_the_oldest_makes_room(attempts: Attempts) -> None:
    marks = [f"{number:03x}" for number in range(17)]
    for mark in marks:
        await attempts.count([charge(mark=mark)])
    known = [(await attempts.standings([ACCOUNT], mark))[0].repeated for mark in marks]
    assert known == [False] + [True] * 16


async def test_marks_that_overlap_aren_t_mistaken_for_each_other(attempts: Attempts) -> None:
    await attempts.count([charge(mark="abc")])
    await attempts.count([charge(mark="def")])
    assert not (await attempts.standings([ACCOUNT], "fab"))[0].repeated
    assert not (await attempts.standings([ACCOUNT], "efa"))[0].repeated


async def test_a_success_is_known_for_a_while_and_forgives_the_pair(backend: Backend, attempts: Attempts) -> None:
    await failed(attempts, 3, PAIR)
    await failed(attempts, 3, ACCOUNT)
    assert await known(attempts) == 0
    await attempts.opened(PAIR, 1000.0)
    assert await known(attempts) == pytest.approx(1000, rel=0.1)
    assert await score(attempts, PAIR) == 0
    assert await score(attempts, ACCOUNT) > 2
    await backend.let_pass(600.0)
    assert await known(attempts) == pytest.approx(400, rel=0.2)
    await attempts.opened(PAIR, 1000.0)
    assert await known(attempts) == pytest.approx(1000, rel=0.1)
    await backend.let_pass(1000.0)
    assert await known(attempts) == 0


async def test_staff_see_who_has_a_score_and_can_forget_it(attempts: Attempts) -> None:
    await attempts.opened(Subject(Kind.PAIR, "ann@acme.example 192.0.2.9"), 1000.0)
    for subject in (ADDRESS, ACCOUNT, PAIR):
        await attempts.count([charge(subject)])
    assert [each.subject for each in await attempts.scored()] == [ACCOUNT, ADDRESS, PAIR]
    assert await attempts.forget([ADDRESS, PAIR, TENANT]) == 2
    assert [each.subject for each in await attempts.scored()] == [ACCOUNT]


async def test_what_a_login_asks_and_leaves_travels_with_its_lease(redis_url: str) -> None:
    async with relay_to(urlsplit(redis_url).port or 0) as relay:
        url = redis_url.replace(f":{urlsplit(redis_url).port}", f":{relay.port}")
        locks = RedisMaildropLocks(url, limits=Limits(deadline=20.0))
        attempts = RedisAttempts(locks.servers)
        for _ in range(2):  # The first time, scripts are sent and connections made.
            await locks.acquire(lease())
            before = relay.sends
            await attempts.standings(EVERYBODY, MARK)
            await asyncio.gather(attempts.opened(PAIR, 1000.0), locks.acquire(lease()))
        assert relay.sends - before == 2
        await locks.aclose()


async def test_of_a_password_only_twelve_bits_are_stored(redis_url: str) -> None:
    locks = RedisMaildropLocks(redis_url, limits=Limits(deadline=20.0))
    attempts = RedisAttempts(locks.servers)
    await attempts.count([charge(mark=mark_of(ACCOUNT.name, "correct horse"))])
    await locks.aclose()
    async with Redis.from_url(redis_url) as client:
        kept = {key: await client.hgetall(key) for key in [key async for key in client.scan_iter()]}
    assert list(kept) == ["abuse:account:zoë@acme.example".encode()]
    (fields,) = kept.values()
    assert set(fields) == {b"score", b"at", b"marks"}
    assert len(fields[b"marks"]) == 3


async def test_the_twin_keeps_a_bounded_number_and_forgets_who_failed_longest_ago() -> None:
    twin = MemoryAttempts(SetClock(), entries=3)
    subjects = [Subject(Kind.ADDRESS, f"192.0.2.{number}") for number in range(5)]
    for subject in subjects:
        await twin.count([charge(subject)])
        await twin.opened(Subject(Kind.PAIR, f"a {subject.name}"), 10.0)
    assert len(twin) == 6
    assert [each.subject for each in await twin.scored()] == subjects[2:]


class Away(MemoryAttempts):
    """Scores that can't be reached."""

    def __getattribute__(self, name: str) -> object:
        async def refuse(*_: object) -> object:
            raise Refusal(Reason.UNAVAILABLE, "away")

        return refuse


async def test_f3_while_the_shared_scores_are_away_the_process_counts_by_itself() -> None:
    told: list[bool] = []
    standby = Standby(Away(SetClock()), MemoryAttempts(SetClock()), told.append)
    assert await standby.count([charge()]) == [Counted(ACCOUNT, 0.0, 1.0)]
    assert await standby.standings([ACCOUNT]) == [Standing(ACCOUNT, 1.0)]
    await standby.opened(PAIR, 5.0)
    assert await known(standby) == 5
    assert told == [False, False]
    for staff in (standby.scored(), standby.forget([ACCOUNT])):
        with pytest.raises(Refusal):
            await staff


async def test_the_shared_scores_are_used_again_as_soon_as_they_answer() -> None:
    told: list[bool] = []
    shared, own = MemoryAttempts(SetClock()), MemoryAttempts(SetClock())
    standby = Standby(shared, own, told.append)
    await standby.count([charge()])
    await standby.opened(PAIR, 5.0)
    assert (await standby.standings([ACCOUNT])) == [Standing(ACCOUNT, 1.0)]
    assert (await known(standby), len(own), told) == (5, 0, [True, True])
    await own.count([charge()])
    assert await standby.forget([ACCOUNT]) == 1
    assert await own.scored() == await standby.scored() == []


async def test_there_may_be_nobody_to_ask_about_and_more_than_one_pipeline_takes(attempts: Attempts) -> None:
    assert list(await attempts.standings(())) == []
    assert await attempts.forget(()) == 0
    many = [Subject(Kind.ACCOUNT, f"user{number}@acme.example") for number in range(200)]
    await attempts.count([Charge(many[150], NEW, 10.0)])
    assert [each.subject for each in await attempts.standings(many) if each.score] == [many[150]]
    assert await attempts.forget(many) == 1
