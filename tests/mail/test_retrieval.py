"""Retrieval: whole, proven, resumed, or refused; never wrong. G8, F7, F8. RFC 1939 §5 and §7."""

import asyncio
import os
from dataclasses import replace

import pytest

from service.mail.budget import Budget
from service.mail.patience import Patience
from service.mail.places import Places
from service.mail.retrieval import WHOLE_OCTETS, Resumption, Retrieval
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal
from tests.mail.house import House

pytestmark = pytest.mark.asyncio

SMALL = b"Subject: s\r\n\r\nbody\r\n"
LARGE = b"Subject: l\r\n\r\n" + os.urandom(WHOLE_OCTETS).hex().encode() + b"\r\n" + b"x" * WHOLE_OCTETS + b"\r\n"


async def stored(house: House, sequence: int = 1) -> StoredMessage:
    return await Places(house.index, house.key).of(sequence)


async def collected(house: House, message: StoredMessage) -> bytes:
    return b"".join([piece async for piece in house.retrieval.pieces(message)])


async def topped(house: House, message: StoredMessage, lines: int) -> bytes:
    return b"".join([piece async for piece in house.retrieval.top(message, lines)])


def earlier(message: StoredMessage) -> StoredMessage:
    """The same as the release before stored it: without the digests of its beginnings."""
    return replace(message, blob=replace(message.blob, beginnings=None))


async def given_until_refused(
    house: House, message: StoredMessage, lines: int | None = None
) -> tuple[bytes, Reason | None]:
    retrieval, given = house.retrieval, b""
    try:
        async for piece in retrieval.pieces(message) if lines is None else retrieval.top(message, lines):
            given += piece
    except Refusal as refusal:
        return given, refusal.reason
    return given, None


@pytest.mark.parametrize("text", [SMALL, LARGE, b"\r\n"], ids=["small", "large", "empty"])
async def test_a_message_is_given_exactly_as_stored(text: bytes) -> None:
    house = await House().furnish(text)
    assert await collected(house, await stored(house)) == text


async def test_a_small_message_takes_one_read() -> None:
    house = await House().furnish(SMALL)
    await collected(house, await stored(house))
    assert len(house.blobs.reads) == 1


@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
async def test_f7_a_read_that_fails_is_repeated(text: bytes) -> None:
    house = await House().furnish(text)
    house.blobs.failures = 2
    assert await collected(house, await stored(house)) == text
    house.blobs.failures = 2
    assert await collected(house, earlier(await stored(house))) == text


async def test_f7_a_store_that_stays_down_is_refused_before_the_first_octet() -> None:
    house = await House().furnish(SMALL)
    message = await stored(house)
    house.blobs.failures = 99
    with pytest.raises(Refusal) as refused:
        await anext(house.retrieval.pieces(message))
    assert refused.value.reason is Reason.UNAVAILABLE


def with_room(house: House, octets: int = 64 * WHOLE_OCTETS) -> Budget:
    """Let `house` hold large messages whole, in half of so much memory."""
    room = Budget(octets)
    house.retrieval = replace(house.retrieval, room=room)
    return room


async def test_a_large_message_that_there_is_memory_for_is_verified_before_its_first_octet() -> None:
    house = await House().furnish(LARGE)
    room, message = with_room(house), await stored(house)
    given = [piece async for piece in house.retrieval.pieces(message)]
    assert (given, house.blobs.reads) == ([LARGE], [(message.blob.key, 0, len(LARGE))])
    assert room.used == 0


async def test_g15_a_large_message_is_streamed_where_half_of_the_memory_is_taken() -> None:
    house = await House().furnish(LARGE)
    room, message = with_room(house, 2 * len(LARGE) + 1), await stored(house)
    room.try_take(2)
    given = [piece async for piece in house.retrieval.pieces(message)]
    assert (b"".join(given), max(map(len, given)), room.used) == (LARGE, WHOLE_OCTETS, 2)


async def test_g15_memory_is_given_back_when_the_client_leaves_in_the_middle() -> None:
    house = await House().furnish(LARGE)
    room, message = with_room(house), await stored(house)
    pieces = house.retrieval.pieces(message)
    await anext(pieces)
    assert room.used == len(LARGE)
    await pieces.aclose()
    assert room.used == 0


async def test_g15_a_large_message_whose_octets_come_late_is_streamed_and_they_are_counted_until_they_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.mail.retrieval.SOON", 0.01)
    house = await House().furnish(LARGE)
    room, message, go_on = with_room(house, 2 * len(LARGE)), await stored(house), asyncio.Event()
    read = house.blobs.read

    async def late(key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        if end - start > WHOLE_OCTETS:
            await go_on.wait()
        return await read(key, start, end, patience)

    monkeypatch.setattr(house.blobs, "read", late)
    given = [piece async for piece in house.retrieval.pieces(message)]
    assert (b"".join(given), max(map(len, given)), room.used) == (LARGE, WHOLE_OCTETS, len(LARGE))
    go_on.set()
    async with asyncio.timeout(10):
        await room.take(2 * len(LARGE))


async def test_f8_a_corrupt_large_message_that_is_held_is_never_given_whole() -> None:
    house = await House().furnish(LARGE)
    with_room(house)
    message = await stored(house)
    house.blobs.corrupt = True
    given, reason = await given_until_refused(house, message)
    assert len(given) < len(LARGE)
    assert reason is Reason.BROKEN


async def test_f7_a_stream_that_breaks_in_the_middle_goes_on_by_range() -> None:
    house = await House().furnish(LARGE)
    message = earlier(await stored(house))
    house.blobs.cut_after = 1
    assert await collected(house, message) == LARGE
    starts = [start for _, start, _ in house.blobs.reads]
    assert len(starts) == 2
    assert starts[1] > 0


async def test_f8_a_corrupt_small_message_gives_no_octet() -> None:
    house = await House().furnish(SMALL)
    message = await stored(house)
    house.blobs.corrupt = True
    with pytest.raises(Refusal) as refused:
        await anext(house.retrieval.pieces(message))
    assert refused.value.reason is Reason.BROKEN


async def test_f8_a_corrupt_large_message_never_gives_its_last_piece() -> None:
    house = await House().furnish(LARGE)
    message = await stored(house)
    house.blobs.corrupt = True
    assert await given_until_refused(house, message) == (b"", Reason.BROKEN)
    given, reason = await given_until_refused(house, earlier(message))
    assert reason is Reason.BROKEN
    assert len(given) < len(LARGE)


@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
async def test_f8_a_truncated_message_is_never_given_as_whole(text: bytes) -> None:
    house = await House().furnish(text)
    message = await stored(house)
    house.provider.blobs.truncate(message.blob.key, len(text) - 1)
    for each in (message, earlier(message)):
        given, reason = await given_until_refused(house, each)
        assert reason is not None
        assert len(given) < len(text) - 1


async def test_a_missing_blob_needs_a_person() -> None:
    house = await House().furnish(SMALL)
    message = await stored(house)
    await house.provider.blobs.delete([message.blob.key])
    with pytest.raises(Refusal) as refused:
        await anext(house.retrieval.pieces(message))
    assert refused.value.reason is Reason.BROKEN


@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
async def test_the_header_alone_is_read_by_range(text: bytes) -> None:
    house = await House().furnish(text)
    message = await stored(house)
    header = await topped(house, message, 0)
    assert header == text[: text.index(b"\r\n\r\n") + 4]
    assert house.blobs.reads == [(message.blob.key, 0, len(header))]


async def test_top_of_a_large_message_reads_no_more_than_the_part_with_its_lines() -> None:
    house = await House().furnish(LARGE)
    with_room(house)
    message = await stored(house)
    house.blobs.wrong_at = WHOLE_OCTETS
    assert await anext(house.retrieval.top(message, 1)) == LARGE[:WHOLE_OCTETS]
    assert house.blobs.reads == [(message.blob.key, 0, WHOLE_OCTETS)]


@pytest.mark.parametrize("before", [False, True], ids=["stored now", "stored by a release before"])
@pytest.mark.parametrize("lines", [0, 1])
@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
async def test_f8_a_wrong_octet_of_what_top_needs_is_never_given(text: bytes, lines: int, *, before: bool) -> None:
    house = await House().furnish(text)
    message = await stored(house)
    message = earlier(message) if before else message
    house.blobs.wrong_at = 9
    with pytest.raises(Refusal) as refused:
        await anext(house.retrieval.top(message, lines))
    assert refused.value.reason is Reason.BROKEN
    house.blobs.wrong_at = None
    assert (await topped(house, message, lines)).startswith(text[: text.index(b"\r\n\r\n") + 4 + lines])


async def test_f8_retr_gives_nothing_of_a_part_with_a_wrong_octet() -> None:
    house = await House().furnish(LARGE)
    message = await stored(house)
    house.blobs.wrong_at = 2 * WHOLE_OCTETS + 1
    assert await given_until_refused(house, message) == (LARGE[: 2 * WHOLE_OCTETS], Reason.BROKEN)


async def test_f8_a_part_that_came_broken_once_is_read_once_more() -> None:
    house = await House().furnish(LARGE)
    message = await stored(house)
    pieces = house.retrieval.pieces(message)
    given = await anext(pieces)
    house.blobs.wrong_at, house.blobs.mended_after = len(given), 1
    assert given + b"".join([piece async for piece in pieces]) == LARGE


async def test_a_large_message_that_a_release_before_has_stored_is_given_as_stored() -> None:
    house = await House().furnish(LARGE)
    message = earlier(await stored(house))
    assert await collected(house, message) == await topped(house, message, 9) == LARGE


async def test_a_huge_header_is_streamed() -> None:
    text = b"X: " + b"y" * (WHOLE_OCTETS + 10) + b"\r\n\r\nbody\r\n"
    house = await House().furnish(text)
    message = await stored(house)
    assert await topped(house, message, 0) == text.removesuffix(b"body\r\n")
    house.blobs.wrong_at = WHOLE_OCTETS + 1
    assert await given_until_refused(house, message, 0) == (text[:WHOLE_OCTETS], Reason.BROKEN)


async def test_places_are_asked_for_some_at_a_time() -> None:
    house = await House().furnish(*[SMALL] * 5)
    places = Places(house.index, house.key)
    await places.of(1, (2, 3))
    assert places.known(3) is not None
    assert places.known(4) is None
    assert (await places.of(5)).sequence == 5


async def test_places_of_what_follows_are_asked_for_before_anybody_waits_for_them() -> None:
    house = await House().furnish(*[SMALL] * 120)
    places = Places(house.index, house.key)
    await places.of(1, tuple(range(2, 82)))
    places.ask_ahead(tuple(range(2, 82)))
    places.ask_ahead(tuple(range(10, 90)))
    assert places.known(81) is None, "for few it is too early"
    places.ask_ahead(tuple(range(20, 100)))
    assert (await places.of(81)).sequence == 81
    assert [places.known(n) is not None for n in (19, 20, 99, 100)] == [False, True, True, False]


async def test_f6_places_that_could_not_be_had_ahead_are_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(*[SMALL] * 40)
    places = Places(house.index, house.key)

    async def away(key: object, sequences: object) -> None:
        raise Refusal(Reason.UNAVAILABLE)

    monkeypatch.setattr(type(house.index), "locate", lambda _, key, wanted: away(key, wanted))
    places.ask_ahead(tuple(range(2, 40)))
    asked = places._asking
    assert asked is not None
    await asyncio.wait({asked})
    monkeypatch.undo()
    assert (await places.of(2)).sequence == 2


async def test_f6_who_waits_for_places_asked_for_ahead_is_refused_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(*[SMALL] * 40)
    places = Places(house.index, house.key)
    asked, go_on = [], asyncio.Event()

    async def away(_index: object, _key: object, wanted: object) -> None:
        asked.append(wanted)
        await go_on.wait()
        raise Refusal(Reason.UNAVAILABLE)

    monkeypatch.setattr(type(house.index), "locate", away)
    places.ask_ahead(tuple(range(2, 40)))
    waiting = asyncio.create_task(places.of(2))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(Refusal) as refused:
        await waiting
    assert refused.value.reason is Reason.UNAVAILABLE
    assert len(asked) == 1


async def test_a_message_without_a_row_is_broken_not_absent() -> None:
    house = await House().furnish(SMALL)
    with pytest.raises(Refusal) as refused:
        await Places(house.index, house.key).of(77)
    assert refused.value.reason is Reason.BROKEN


async def test_g14_who_has_waited_already_waits_for_the_store_so_much_less() -> None:
    house = await House().furnish(SMALL)
    message = await stored(house)
    house.blobs.silent_from = 0
    patient = Retrieval(house.blobs, Resumption(patience=3600.0))
    assert patient.after(0.001) is patient
    for waited in (3599.99, 4000.0):
        async with asyncio.timeout(30):
            with pytest.raises(Refusal) as refused:
                await anext(patient.after(waited).pieces(message))
        assert refused.value.reason is Reason.UNAVAILABLE


@pytest.mark.parametrize(
    ("patience", "waited", "left"), [(4.5, 3.0, 1.5), (4.5, 3.5, 1.0), (4.5, 60.0, 1.0), (0.5, 60.0, 0.5)]
)
async def test_g14_the_store_has_a_second_however_long_was_waited_for_other_things(
    patience: float, waited: float, left: float
) -> None:
    retrieval = Retrieval((await House().furnish()).blobs, Resumption(patience=patience))
    assert retrieval.after(waited).resumption.patience == pytest.approx(left)


@pytest.mark.parametrize("text", [SMALL, LARGE], ids=["small", "large"])
async def test_g14_a_store_that_gives_nothing_is_refused_while_the_client_waits_for_a_status(text: bytes) -> None:
    house = await House().furnish(text)
    message = await stored(house)
    house.blobs.silent_from = 0
    hasty = Retrieval(house.blobs, Resumption(patience=0.01))
    async with asyncio.timeout(10):
        for given in (hasty.pieces(message), hasty.top(message, 0), hasty.top(earlier(message), 1)):
            with pytest.raises(Refusal) as refused:
                await anext(given)
            assert refused.value.reason is Reason.UNAVAILABLE


async def test_g14_top_of_an_earlier_large_message_whose_store_hangs_in_the_middle_is_refused_in_time() -> None:
    house = await House().furnish(LARGE)
    message = earlier(await stored(house))
    house.blobs.cut_after, house.blobs.silent_from = 1, 1
    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as refused:
            await anext(Retrieval(house.blobs, Resumption(pause=0, patience=0.05)).top(message, 1))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert house.blobs.reads[-1][1] > 0, "it hangs where it goes on"


async def test_f8_top_of_an_earlier_large_message_that_came_broken_once_is_read_once_more() -> None:
    house = await House().furnish(LARGE)
    message, told = earlier(await stored(house)), list[None]()
    resumption = Resumption(pause=0, resumed=lambda: told.append(None))
    house.blobs.wrong_at, house.blobs.mended_after = 9, 1
    given = [piece async for piece in Retrieval(house.blobs, resumption).top(message, 9)]
    assert (b"".join(given), len(told)) == (LARGE, 1)
