"""Who makes room for other texts: senders that fell silent, and nobody else. G15. RFC 5321 §4.5.3.2.7, §3.8."""

import asyncio
from math import inf

import pytest

from service.mail.budget import Budget, Share
from service.mail.underway import SILENT_SECONDS, Text, Underway
from tests.mail.provider import SetClock


class Room:
    """Memory for two texts, and who was shed."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.memory = Budget(20)
        self.underway = Underway(self.memory, self.clock)
        self.shed: list[str] = []

    async def text(self, name: str) -> Text:
        share = Share(self.memory, [(5, 1), (inf, 10)])
        text = await self.underway.begin(share, lambda: self.shed.append(name))
        if name != "small":
            await text.grow(6)
        return text


@pytest.fixture
def room() -> Room:
    return Room()


async def waiting(room: Room, name: str) -> "asyncio.Task[Text]":
    """A text that waits for memory."""
    task = asyncio.create_task(room.text(name))
    await asyncio.sleep(0)
    assert room.memory.turns.waiting == 1
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
    assert room.shed == ["second", "second"]
    third.cancel()
