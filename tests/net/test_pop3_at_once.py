"""A short message that was fetched ahead is sent between two commands, like any response that waits for nothing. G8."""

from dataclasses import replace

import pytest

from service.mail.whose import WHOSE
from service.net.pop3_retrieving import Retrieving
from service.protocol.pop3 import effects
from tests.mail.house import House
from tests.net.front import Front, read_multi_line, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

SHORT = [b"N: %d\r\n\r\n.dotted\r\nlast\r\n" % number for number in range(1, 6)]
LONG = b"N: 0\r\n\r\n" + b"x" * 70 + b"\r\n" + b"y" * 100_000 + b"\r\n"


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the messages that took a task."""
    numbers: list[int] = []
    original = Retrieving.retrieve

    async def retrieve(self: Retrieving, effect: effects.Retrieve) -> None:
        numbers.append(effect.number)
        await original(self, effect)

    monkeypatch.setattr(Retrieving, "retrieve", retrieve)
    return numbers


async def all_here(front: Front) -> None:
    await until(
        lambda: all(each.fetched.done() for each in front.connections[-1]._performer.messages._ahead()._ahead.values())
    )


async def test_the_first_message_takes_a_task_and_what_was_fetched_ahead_doesn_t(performed: list[int]) -> None:
    front = Front(await House().furnish(*SHORT))
    async with front.listening():
        wire = await front.logged_in()
        for number, text in enumerate(SHORT, 1):
            await wire.send(b"RETR %d\r\n" % number)
            assert await read_multi_line(wire) == [b"+OK %d octets" % len(text), *text.split(b"\r\n")[:-1]]
            await all_here(front)
        await wire.send(b"NOOP\r\nQUIT\r\n")
        assert [(await wire.line())[:3] for _ in range(2)] == [b"+OK", b"+OK"]
    assert performed == [1]
    assert front.connections[-1]._record._retrieved == len(SHORT)
    assert front.house.ahead.process.used == 0


async def test_what_the_store_has_at_hand_is_sent_at_once_and_nothing_is_fetched_ahead(performed: list[int]) -> None:
    front = Front(await House().furnish(*SHORT))
    front.house.retrieval = replace(front.house.retrieval, near=front.house.provider.blobs)
    async with front.listening():
        wire = await front.logged_in()
        for number, text in enumerate(SHORT, 1):
            await wire.send(b"RETR %d\r\n" % number)
            assert await read_multi_line(wire) == [b"+OK %d octets" % len(text), *text.split(b"\r\n")[:-1]]
            assert front.house.ahead.process.used == 0
        await wire.send(b"QUIT\r\n")
        assert (await wire.line())[:3] == b"+OK"
    assert (performed, front.house.blobs.reads) == ([1], [])


async def test_commands_that_came_with_it_go_on_in_order(performed: list[int]) -> None:
    front = Front(await House().furnish(*SHORT))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        await read_multi_line(wire)
        await all_here(front)
        await wire.send(b"RETR 2\r\nSTAT\r\nRETR 3\r\nDELE 3\r\nRETR 3\r\nQUIT\r\n")
        said = await wire.rest()
    statuses = [line[:4] for line in said.split(b"\r\n") if line.startswith((b"+OK", b"-ERR"))]
    assert statuses == [b"+OK ", b"+OK ", b"+OK ", b"+OK", b"-ERR", b"+OK "]
    assert performed == [1]


async def test_a_long_message_and_one_that_fails_its_digest_take_the_long_way(performed: list[int]) -> None:
    front = Front(await House().furnish(SHORT[0], LONG, SHORT[1]))
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        await read_multi_line(wire)
        await all_here(front)
        front.house.blobs.corrupt = True
        await wire.send(b"RETR 2\r\n")
        assert (await read_multi_line(wire))[0] == b"+OK %d octets" % len(LONG)
        await all_here(front)
        await wire.send(b"RETR 3\r\nQUIT\r\n")
        assert (await wire.line()).startswith((b"-ERR [SYS", b"+OK %d" % len(SHORT[1])))
    assert performed[:2] == [1, 2]


async def test_g16_what_is_fetched_ahead_then_is_fetched_for_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(*SHORT)
    asked_for: list[object] = []
    original = type(house.retrieval).whole

    async def whole(self: object, message: object) -> bytes:
        asked_for.append(WHOSE.get())
        return await original(self, message)  # type: ignore[arg-type]

    monkeypatch.setattr(type(house.retrieval), "whole", whole)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        for number in range(1, 6):
            await wire.send(b"RETR %d\r\n" % number)
            await read_multi_line(wire)
            await all_here(front)
        whose = front.connections[-1]._turns.whose
    assert len(asked_for) == len(SHORT)
    assert set(asked_for) == {whose}
