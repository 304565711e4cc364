"""How long RETR waits for a store that is slow, hangs or is asked by many, in virtual time. F7; G14, G16.

RFC 3206 §4: SYS/TEMP is for a problem that is likely to pass. RFC 1939 §5 RETR.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from service.mail.fair import FairBlobs
from service.mail.patience import Patience
from service.mail.retrieval import Resumption, Retrieval
from service.mail.turns import Bounds, Turns
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal
from service.stores.memory.blobs import MemoryBlobStore
from tests.mail.house import House
from tests.simulation.loop import SimulationLoop

TEXT = b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n"
PATIENCE = 4.5


class Paced(MemoryBlobStore):
    """Gives a blob in parts, with so many seconds before each; it hangs before the part that has none."""

    def __init__(self, behind: MemoryBlobStore, *seconds: float | None) -> None:
        super().__init__()
        self._blobs = behind._blobs
        self.seconds = seconds
        self.first = True

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        for part in self.seconds:
            await (asyncio.sleep(part) if part is not None else asyncio.Event().wait())
            if patience is not None:
                patience.came()
        return await super().read(key, start, end)


class Lost(Paced):
    """The first request is never answered, the others are."""

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        if self.first:
            self.first = False
            await asyncio.Event().wait()
        return await super().read(key, start, end, patience)


Outcome = tuple[str, float]
"""What came of a retrieval, and the seconds after which it did."""


async def outcome(retrieval: Retrieval, message: StoredMessage, begin: float) -> Outcome:
    """Of a retrieval that begins then."""
    time = asyncio.get_running_loop().time
    await asyncio.sleep(begin - time())
    try:
        octets = await retrieval.whole(message)
    except Refusal as refusal:
        return refusal.reason.name, round(time() - begin, 1)
    assert octets == TEXT
    return "given", round(time() - begin, 1)


async def outcomes(store: type[Paced], seconds: tuple[float | None, ...], turns: int, *begins: float) -> list[Outcome]:
    """Of retrievals that begin then, at a store with so many turns."""
    house = await House().furnish(TEXT)
    message = (await house.index.locate(house.key, [1]))[1]
    fair = FairBlobs(store(house.provider.blobs, *seconds), Turns("store", Bounds(turns, patience=60.0)))
    retrieval = Retrieval(fair, Resumption(patience=PATIENCE))
    return await asyncio.gather(*(outcome(retrieval, message, begin) for begin in begins))


def on_virtual_time(work: Coroutine[Any, Any, list[Outcome]]) -> list[Outcome]:
    loop = SimulationLoop(0)
    loop.shuffles = False
    try:
        return loop.run_until_complete(work)
    finally:
        loop.finish()


def test_standing_in_line_while_the_store_serves_others_is_no_silence_of_the_store() -> None:
    told = on_virtual_time(outcomes(Paced, (2.0,), 1, *[0.0] * 6))
    assert told == [("given", 2.0 * place) for place in range(1, 7)]


def test_g14_while_the_store_hangs_who_stands_in_line_is_refused_as_soon_as_who_was_served() -> None:
    told = on_virtual_time(outcomes(Paced, (None,), 1, 0.0, 1.0, 2.0, 6.0))
    assert told == [("UNAVAILABLE", PATIENCE)] * 4


def test_who_comes_to_its_turn_late_has_only_the_rest_of_its_patience_with_a_store_that_hangs() -> None:
    told = on_virtual_time(outcomes(Paced, (3.0, None), 1, 0.0, 1.0))
    # The store gave something to the first one at 3.0 s, and nothing to anybody since.
    assert told == [("UNAVAILABLE", 3.0 + PATIENCE), ("UNAVAILABLE", 2.0 + PATIENCE)]


def test_f7_a_store_that_is_slow_but_gives_is_waited_for() -> None:
    assert on_virtual_time(outcomes(Paced, (4.0,) * 5, 1, 0.0)) == [("given", 20.0)]


def test_f7_a_store_that_hangs_in_the_middle_is_given_up_as_long_after_its_last_octets() -> None:
    assert on_virtual_time(outcomes(Paced, (4.0, 4.0, None), 1, 0.0)) == [("UNAVAILABLE", 8.0 + PATIENCE)]


def test_f7_a_request_that_is_not_answered_is_given_up_though_others_are() -> None:
    told = on_virtual_time(outcomes(Lost, (1.0,), 2, 0.0, 1.0, 2.0, 3.0, 4.0))
    assert told == [("UNAVAILABLE", PATIENCE)] + [("given", 1.0)] * 4


class OneFails(MemoryBlobStore):
    """Each request for one blob fails after so many seconds; others are answered."""

    def __init__(self, behind: MemoryBlobStore, key: str, seconds: float) -> None:
        super().__init__()
        self._blobs = behind._blobs
        self.failing = key
        self.seconds = seconds

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        if key == self.failing:
            await asyncio.sleep(self.seconds)
            raise Refusal(Reason.UNAVAILABLE, "told to fail")
        await asyncio.sleep(0.2)
        return await super().read(key, start, end, patience)


async def beside_others(seconds: float) -> list[Outcome]:
    """Of a retrieval whose requests fail, while others are served all the time."""
    house = await House().furnish(TEXT, TEXT)
    located = await house.index.locate(house.key, [1, 2])
    fair = FairBlobs(OneFails(house.provider.blobs, located[1].blob.key, seconds), Turns("store", Bounds(2)))
    retrieval = Retrieval(fair, Resumption(patience=PATIENCE))
    others = (outcome(retrieval, located[2], 0.3 * begin) for begin in range(40))
    return (await asyncio.gather(outcome(retrieval, located[1], 0.0), *others))[:1]


@pytest.mark.parametrize("seconds", [0.5, 1.6, 4.4])
def test_g14_a_blob_whose_requests_fail_is_refused_in_time_however_often_they_are_repeated(seconds: float) -> None:
    [(told, after)] = on_virtual_time(beside_others(seconds))
    assert told == "UNAVAILABLE"
    assert after <= PATIENCE


class Watched(MemoryBlobStore):
    """Tells whether a stream that was begun is over."""

    open = 0

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.open += 1
        try:
            async for piece in super().stream(key, start, end, patience):
                yield piece
        finally:
            self.open -= 1


Abandon = Callable[[House, StoredMessage, Watched], Awaitable[None]]


async def in_retrieval(house: House, message: StoredMessage, watched: Watched) -> None:
    pieces = Retrieval(watched).pieces(message)
    await anext(pieces)
    assert watched.open == 1
    await pieces.aclose()


async def in_turns(house: House, message: StoredMessage, watched: Watched) -> None:
    pieces = FairBlobs(watched, Turns("store", Bounds(1))).stream(message.blob.key, 0, message.blob.octets)
    await anext(pieces)
    assert watched.open == 1
    await pieces.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("abandon", [in_retrieval, in_turns])
async def test_a_stream_that_is_left_in_the_middle_is_closed_at_once(abandon: Abandon) -> None:
    house = await House().furnish(b"Subject: x\r\n\r\n" + b"y" * (3 << 20) + b"\r\n")
    message = (await house.index.locate(house.key, [1]))[1]
    message = replace(message, blob=replace(message.blob, beginnings=None))
    watched = Watched()
    watched._blobs = house.provider.blobs._blobs
    await abandon(house, message, watched)
    assert watched.open == 0
