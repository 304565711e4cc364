"""What a connection held is free once it is gone, without Python's collector, which may not come by. G15."""

import gc
from weakref import ref

import pytest

from service.net.pop3 import Pop3Connection
from tests.mail.house import House
from tests.net.front import Front, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


@pytest.mark.parametrize("ending", ["QUIT", "cut"])
async def test_g15_a_session_that_ended_is_free_without_the_collector(ending: str) -> None:
    front = Front(await House().furnish(b"N: 1\r\n\r\ntext\r\n"))
    gc.collect()
    gc.disable()
    try:
        async with front.listening():
            wire = await front.logged_in()
            await wire.send(b"UIDL\r\n")
            while await wire.line() != b".":
                pass
            if ending == "QUIT":
                await wire.send(b"QUIT\r\n")
                await wire.line()
            wire.close()
            gone = [ref(each) for each in front.connections]
            await until(lambda: all(each._finished for each in front.connections))
            front.connections.clear()
            await until(lambda: all(each() is None for each in gone))
    finally:
        gc.enable()


async def test_g15_a_connection_that_was_never_made_is_free_without_the_collector() -> None:
    front = Front(await House().furnish())
    gc.disable()
    try:
        async with front.listening():
            await front.logged_in()
            peer = front.connections[-1]._peer
            gone = ref(Pop3Connection(front.connections[-1]._service, peer))
            assert gone() is None
    finally:
        gc.enable()
