"""Who makes room for other texts: senders that fell silent, and nobody else. G15. RFC 5321 §4.5.3.2.7, §3.8."""

import asyncio
from math import inf

import pytest

from service.mail.text_memory import Share, TextMemory
from service.mail.underway import SILENT_SECONDS, Text, Underway
from tests.mail.provider import SetClock


class Room:
    """Memory for two texts, and who was shed."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.memory = TextMemory(36)
        self.underway = Underway(self.memory, self.clock)
        self.shed: list[str] = []

    async def text(self, name: str) -> Text:
        share = Share(self.memory, [(5, 1), (inf, 10)])
        text = await self.underway.begin(share, lambda: self.shed.append(name))
        if name != "small":
            text.waits(busy=True)
            await text.grow(6)
            text.waits(busy=False)
        return text


@pytest.fixture
def room() -> Room:
    return Room()


async def waiting(room: Room, name: str) -> "asyncio.Task[Text]":
    """A text that waits for memory."""
    task = asyncio.create_task(room.text(name))
    await asyncio.sleep(0)
    assert room.memory.waiting == 1
    return task


async def test_nobody_is_shed_while_there_is_room(room: Room) -> None:
    await room.text("first")
    room.clock.seconds += 10 * SILENT_SECONDS
    await room.underway.make_room()
    assert room.shed == []


async def test_who_is_silent_longest_makes_room_for_one_that_waits(room: Room) -> None:
    first = await room.text("first")
    room.clock.seconds += 1
    await room.text("second")
    third = await waiting(room, "third")
    room.clock.seconds += SILENT_SECONDS
    await room.underway.make_room()
    assert room.shed == ["first"]
    first.end()
    (await third).end()
    assert room.memory.used == 10


async def test_who_was_heard_lately_is_not_shed(room: Room) -> None:
    texts = [await room.text("first"), await room.text("second")]
    third = await waiting(room, "third")
    room.clock.seconds += SILENT_SECONDS
    for text in texts:
        text.covers(6)
    await room.underway.make_room()
    assert room.shed == []
    third.cancel()


async def test_a_sender_that_is_kept_waiting_is_not_silent(room: Room) -> None:
    texts = [await room.text("first"), await room.text("second")]
    texts[0].waits(busy=True)
    third = await waiting(room, "third")
    room.clock.seconds += SILENT_SECONDS
    await room.underway.make_room()
    assert room.shed == ["second"]
    texts[0].waits(busy=False)
    await room.underway.make_room()
    assert room.shed == ["second"], "it leaves already"
    texts[1].end()
    (await third).end()


async def test_g15_as_many_are_shed_as_wait_however_often_it_is_looked_at(room: Room) -> None:
    texts = [await room.text("first"), await room.text("second")]
    waits = [await waiting(room, "third"), asyncio.create_task(room.text("fourth"))]
    await asyncio.sleep(0)
    room.clock.seconds += SILENT_SECONDS
    for _ in range(3):
        await room.underway.make_room()
    assert sorted(room.shed) == ["first", "second"]
    for text in texts:
        text.end()
    for wait in waits:
        (await wait).end()
    assert room.memory.used == 0


async def test_g15_texts_that_begin_however_many_leave_room_for_one_that_grows(room: Room) -> None:
    begun = [await room.text("small") for _ in range(18)]
    more = asyncio.create_task(room.text("small"))
    await asyncio.sleep(0)
    assert room.memory.waiting == 1
    async with asyncio.timeout(10):
        for text in begun:
            await text.grow(6)
            text.end()
    (await more).end()
    assert room.memory.used == 0


async def test_a_text_that_needs_more_than_there_is_gets_all_of_it_and_is_not_refused_for_ever() -> None:
    memory = TextMemory(36)
    other, share = (Share(memory, [(5, 1), (10, 10), (inf, 1000)]) for _ in range(2))
    for octets in (0, 6):
        await other.grow(octets)
        await share.grow(octets)
    growing = asyncio.create_task(share.grow(11))
    await asyncio.sleep(0)
    assert not growing.done()
    other.give_back()
    async with asyncio.timeout(10):
        await growing
    assert (share.covers(10_000), memory.used) == (True, 19)
    share.give_back()
    assert memory.used == 0
