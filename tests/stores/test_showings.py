"""Who was shown a maildrop last: one suite for memory and a real Valkey."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from service.mail.outage import Showings
from service.model.account import MaildropKey
from service.stores.memory.showings import MemoryShowings
from service.stores.redis import RedisMaildropLocks, RedisShowings
from tests.mail.provider import SetClock

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else str(request.getfixturevalue("redis_url"))


@pytest.fixture
async def showings(url: str | None) -> AsyncIterator[Showings]:
    if url is None:
        yield MemoryShowings(SetClock())
        return
    locks = RedisMaildropLocks(url)
    yield RedisShowings(locks.servers)
    await locks.aclose()


async def test_the_last_one_is_told_and_each_maildrop_has_its_own(showings: Showings) -> None:
    first, other = MaildropKey(uuid4(), uuid4()), MaildropKey(uuid4(), uuid4())
    assert await showings.last(first) is None
    await showings.note(first, "one", 60.0)
    await showings.note(first, "two", 60.0)
    await showings.note(other, "three", 60.0)
    assert [await showings.last(first), await showings.last(other)] == ["two", "three"]


async def test_it_is_forgotten_after_its_time(redis_url: str) -> None:
    locks = RedisMaildropLocks(redis_url)
    key = MaildropKey(uuid4(), uuid4())
    await RedisShowings(locks.servers).note(key, "one", 0.001)
    while await RedisShowings(locks.servers).last(key) is not None:
        pass
    await locks.aclose()
