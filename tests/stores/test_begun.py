"""What was begun at a store that doesn't answer, or fails: it is given up in time, and counted. F7, G15."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from obstore import Bytes

from service.model.refusal import Reason, Refusal
from service.stores.objects import ObjectBlobStore, ObjectOptions, open_blobs
from service.stores.objects.begun import Begun
from service.stores.objects.errors import kind_of
from service.stores.objects.twice import Due, Twice
from service.stores.observing import Calls, Unobserved
from tests.stores.dribbling import Dribbling

SHORT = 0.05


class Counted(Unobserved):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.kinds: list[str] = []

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)

    def store_failed(self, vendor: str, kind: str) -> None:
        self.kinds.append(kind)


async def text_of(text: bytes) -> AsyncIterator[bytes]:
    yield text


def store_at(port: int, observer: Counted, deadline: float) -> ObjectBlobStore:
    endpoint = f"http://127.0.0.1:{port}"
    options = ObjectOptions(endpoint=endpoint, region="x", access_key="x", secret_key="x", allow_http=True, retries=0)
    store = open_blobs("s3://mail/p", options, observer)
    store._overdue = Due(deadline, Begun.give_up)
    return store


async def test_f7_what_a_silent_store_never_gives_is_given_up_in_time_and_counted_once() -> None:
    seen = Counted()
    async with asyncio.timeout(30), Dribbling(b"x" * 2000, 1000).listening() as server:
        begun = [store_at(server.port, seen, SHORT).begin("t/1", 2000) for _ in range(3)]
        for each in begun:
            assert each is not None
            with pytest.raises(Refusal) as refused:
                await each
            assert refused.value.reason is Reason.UNAVAILABLE
    assert (seen.outcomes, seen.kinds) == (["failed"] * 3, ["timeout"] * 3)


async def test_g15_nothing_is_kept_of_what_is_over_though_what_was_begun_before_it_is_not() -> None:
    async with asyncio.timeout(30), Dribbling(b"x" * 2000, 1000).listening() as server:
        silent, store = store_at(server.port, Counted(), 60.0), open_blobs("memory://")
        store._overdue = silent._overdue
        await store.put("t/1", text_of(b"text"))
        waiting, came = silent.begin("t/1", 2000), store.begin("t/1", 4)
        assert waiting is not None
        assert came is not None
        assert await came == b"text"
        assert list(silent._overdue._due) == [waiting]
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(0)
        assert not silent._overdue._due


async def test_a_failure_that_nobody_asks_for_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    store = open_blobs("memory://")
    begun = store.begin("t/none", 4)
    assert begun is not None
    await asyncio.wait({begun})
    del begun
    gc.collect()
    assert not caplog.records


async def test_f7_a_request_that_others_cancelled_is_a_failure_and_cancels_nobody_who_waits() -> None:
    seen = Counted()
    request: asyncio.Future[Bytes] = asyncio.get_running_loop().create_future()
    call = Calls("objects", seen, kind_of).observed("get")
    begun = Begun(Twice(lambda: request), call, lambda _begun, _seconds: None)
    request.cancel()
    with pytest.raises(Refusal) as refused:
        await begun
    assert refused.value.reason is Reason.UNAVAILABLE
    assert seen.outcomes == ["failed"]
