"""Large messages on their way out: exact octets, also to a client that reads slowly. G8, G15. RFC 1939 §3, §5 RETR."""

import tracemalloc
from dataclasses import replace

import pytest

from service.mail.budget import Budget
from service.net.outlet import SLICE
from tests.mail.house import House
from tests.net.front import Front, read_multi_line, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

PLAIN = b"N: 1\r\n\r\n" + b"".join(b"line %d of many. And on.\r\n" % n for n in range(100_000))
DOTTED = b"N: 2\r\n\r\n" + b"".join(b".line %d\r\n..\r\n.\r\n" % n for n in range(100_000))


@pytest.mark.parametrize("held", [True, False], ids=["held", "streamed"])
async def test_g8_large_messages_arrive_as_they_were_stored(held: bool) -> None:
    front = Front(await House().furnish(PLAIN, DOTTED))
    room = Budget(64 << 20)
    front.house.retrieval = replace(front.house.retrieval, room=room if held else None)
    async with front.listening():
        wire = await front.logged_in()
        for number, text in enumerate((PLAIN, DOTTED), 1):
            await wire.send(b"RETR %d\r\nNOOP\r\n" % number)
            lines = await read_multi_line(wire)
            assert lines[0] == b"+OK %d octets" % len(text)
            assert b"\r\n".join([*lines[1:], b""]) == text
            assert (await wire.line())[:3] == b"+OK"
    assert room.used == 0


async def test_g15_a_client_that_reads_nothing_has_little_written_to_it() -> None:
    front = Front(await House().furnish(PLAIN * 4))
    room = Budget(64 << 20)
    front.house.retrieval = replace(front.house.retrieval, room=room)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        assert (await wire.line()).startswith(b"+OK")
        transport = front.connections[-1]._transport
        assert transport is not None
        assert transport.get_write_buffer_size() <= front.connections[-1]._bound + SLICE


@pytest.mark.parametrize("text", [PLAIN * 4, DOTTED * 4], ids=["plain", "dotted"])
async def test_g15_a_large_message_that_a_client_stops_reading_holds_no_more_than_is_counted(text: bytes) -> None:
    front = Front(await House().furnish(text))
    async with front.listening():
        wire = await front.logged_in()
        outlet = front.connections[-1]._outlet
        tracemalloc.start()
        try:
            await wire.send(b"RETR 1\r\n")
            await until(lambda: outlet.paused and outlet._waiting)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held <= front.memory.used
