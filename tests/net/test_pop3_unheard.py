"""A connection whose log or metrics fail ends all the same, and leaves its place to others. G15."""

import asyncio
from collections.abc import Callable

import pytest

from service.model.ending import Ending
from service.net.pop3 import Pop3Connection
from tests.mail.house import House
from tests.net.front import Front, until

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


def fails(*_: object) -> Ending:
    raise OSError(28, "No space left on device")


async def test_g15_a_session_whose_end_cannot_be_told_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pop3Connection, "_ended", fails)
    front = Front(await House().furnish())
    async with asyncio.timeout(10), front.listening():
        wire = await front.logged_in()
        assert front.admission.held == 1
        await wire.send(b"QUIT\r\n")
        await wire.rest()
        wire.close()
        await until(lambda: front.admission.held == 0, 5)


async def fails_later(*_: object) -> None:
    fails()


@pytest.mark.parametrize(("what", "broken"), [("_perform", fails_later), ("_run", fails)])
async def test_g15_a_fault_that_cannot_be_told_ends_the_session(
    monkeypatch: pytest.MonkeyPatch, what: str, broken: Callable[..., object]
) -> None:
    front = Front(await House().furnish(b"N: 1\r\n\r\ntext\r\n"))
    async with asyncio.timeout(10), front.listening():
        wire = await front.logged_in()
        monkeypatch.setattr(Pop3Connection, "_ending_of", fails)
        monkeypatch.setattr(Pop3Connection, what, broken)
        await wire.send(b"RETR 1\r\n")
        await until(lambda: front.admission.held == 0, 5)
        assert await wire.rest() == b""
        assert front.connections[0]._ending is Ending.FAULT
