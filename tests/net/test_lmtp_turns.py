"""Senders by LMTP take turns of the event loop, each on behalf of its recipients' tenant. G16.

RFC 2033 §4.2: each recipient has a reply of its own, also where its text had to wait for a turn.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from service.mail import long_texts
from service.mail.long_texts import LongTexts
from service.mail.pace import Whose
from service.mail.turns import Bounds, Turns
from service.net import lmtp_train
from service.net.certificates import Certificates
from service.net.lmtp_train import MOST
from service.protocol.lmtp.data import CHUNK
from service.protocol.lmtp.session import STEPS_BOUND
from tests.net.conftest import write_pair
from tests.net.crowded import Crowded
from tests.net.test_lmtp import ENVELOPE, TEXT, Stage, codes
from tests.net.wire import Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


class Noted(Crowded):
    """A pace that keeps whose turns were asked for."""

    def __init__(self) -> None:
        super().__init__(full=False)
        self.asked: list[Whose] = []

    def soon(self, whose: Whose, call: Callable[[], object]) -> None:
        self.asked.append(whose)
        super().soon(whose, call)


@pytest_asyncio.fixture
async def paced(tmp_path: Path, ca: trustme.CA) -> AsyncIterator[tuple[Stage, Noted]]:
    write_pair(tmp_path, "default", ca, "mx.example", "localhost")
    pace = Noted()
    stage = Stage(Certificates(tmp_path, alpn=()), pace=pace)
    yield stage, pace
    stage.listener.end()
    await stage.listener.wait_closed()


@pytest_asyncio.fixture
async def held_back(paced: tuple[Stage, Noted], monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, Turns]:
    """One in which, once a short text came, long ones wait until others give the only turn back."""
    stage, pace = paced
    resting = Turns("long_texts", Bounds(1))
    stage.long_texts = LongTexts(pace, resting, clock=lambda: 0.0)
    monkeypatch.setattr(long_texts, "AT_ONCE", 0.0)
    await resting.take("others")
    return stage, resting


async def test_g16_a_text_runs_in_its_tenants_turns(paced: tuple[Stage, Noted]) -> None:
    stage, pace = paced
    wire = await stage.dial()
    await wire.send(ENVELOPE)
    assert await codes(wire, 3) == [250, 250, 250]
    assert set(pace.asked) == {"127.0.0.1"}
    await wire.send(b"DATA\r\n")
    assert await codes(wire, 1) == [354]
    pace.asked.clear()
    await wire.send(TEXT)
    assert await codes(wire, 1) == [250]
    assert set(pace.asked) == {stage.key.tenant_id}


async def test_a_text_that_comes_while_others_have_all_turns_waits_and_is_whole(paced: tuple[Stage, Noted]) -> None:
    stage, pace = paced
    wire = await stage.dial()
    await wire.send(ENVELOPE + b"DATA\r\n")
    assert await codes(wire, 4) == [250, 250, 250, 354]
    pace.full = True
    for octets in (TEXT[:7], TEXT[7:]):
        await wire.send(octets)
    while not pace.waiting:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    assert stage.provider.rows(stage.key) == []
    pace.leave()
    assert await codes(wire, 1) == [250]
    (text,) = await stage.provider.texts(stage.key)
    assert text.endswith(b"Subject: x\r\n\r\n.dotted\r\n")


async def test_g16_a_large_text_gives_others_a_turn_between_its_pieces(paced: tuple[Stage, Noted]) -> None:
    stage, pace = paced
    wire = await stage.dial()
    await wire.send(ENVELOPE + b"DATA\r\n")
    assert await codes(wire, 4) == [250, 250, 250, 354]
    pace.asked.clear()
    text = b"Subject: large\r\n\r\n" + 16 * CHUNK // 64 * (63 * b"x" + b"\n") + b"\r\n.\r\n"
    await wire.send(text)
    assert await codes(wire, 1) == [250]
    assert len(pace.asked) >= len(text) // CHUNK


@pytest.mark.parametrize(("command", "code"), [(b"NOOP", 250), (b"RCPT TO:<u@a.example>", 503)])
async def test_g16_a_pipeline_gives_others_a_turn_between_its_commands(
    paced: tuple[Stage, Noted], command: bytes, code: int
) -> None:
    stage, pace = paced
    wire = await stage.dial()
    await wire.send(b"LHLO client.example\r\n")
    assert await codes(wire, 1) == [250]
    pace.asked.clear()
    times = 40 * STEPS_BOUND
    await wire.send((command + b"\r\n") * times + b"QUIT\r\n")
    assert await codes(wire, times + 1) == [code] * times + [221]
    assert len(pace.asked) >= times // STEPS_BOUND


async def test_a_pipeline_whose_sender_says_no_more_is_answered_whole(paced: tuple[Stage, Noted]) -> None:
    stage, _ = paced
    wire = await stage.dial()
    await wire.send(b"LHLO client.example\r\n" + b"NOOP\r\n" * 10 * STEPS_BOUND)
    wire.sock.shutdown(socket.SHUT_WR)
    assert await codes(wire, 10 * STEPS_BOUND + 1) == [250] * (10 * STEPS_BOUND + 1)
    assert await wire.rest() == b""


async def test_a_drain_in_the_middle_of_a_pipeline_says_goodbye_and_runs_no_more(paced: tuple[Stage, Noted]) -> None:
    stage, pace = paced
    wire = await stage.dial()
    await wire.send(b"LHLO client.example\r\n")
    assert await codes(wire, 1) == [250]
    pace.full = True
    await wire.send(b"NOOP\r\n" * 10 * STEPS_BOUND)
    while not pace.waiting:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    stage.connections[0].drain()
    pace.leave()
    assert await codes(wire, 1) == [421]
    assert await wire.rest() == b""


async def test_a_long_text_that_has_to_rest_is_whole_and_short_ones_pass_it(held_back: tuple[Stage, Turns]) -> None:
    stage, resting = held_back
    port = stage.start()
    short, long = await Wire.to(port), await Wire.to(port)
    for wire in (short, long):
        await wire.send(ENVELOPE + b"DATA\r\n")
        assert await codes(wire, 5) == [220, 250, 250, 250, 354]
    await short.send(TEXT)
    assert await codes(short, 1) == [250]
    text = b"Subject: long\r\n\r\n" + 32 * CHUNK // 64 * (62 * b"x" + b"\r\n")
    sending = asyncio.ensure_future(long.send(text + b".\r\n"))
    while not resting.waiting:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    await short.send(ENVELOPE.partition(b"\r\n")[2] + b"DATA\r\n" + TEXT)
    assert await codes(short, 4) == [250, 250, 354, 250]
    assert (resting.waiting, len(stage.provider.rows(stage.key))) == (1, 2)
    resting.give_back("others")
    await sending
    assert await codes(long, 1) == [250]
    assert max(map(len, await stage.provider.texts(stage.key))) > len(text)


async def test_g16_a_long_train_of_commands_waits_as_a_long_text_does(
    held_back: tuple[Stage, Turns], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, resting = held_back
    # However slow the machine.
    monkeypatch.setattr(lmtp_train, "FORGIVEN", 0)
    port = stage.start()
    short, train = await Wire.to(port), await Wire.to(port)
    message = ENVELOPE.partition(b"\r\n")[2] + b"DATA\r\n" + TEXT
    await short.send(b"LHLO client.example\r\n" + message)
    assert await codes(short, 6) == [220, 250, 250, 250, 354, 250]
    times = MOST + 10 * STEPS_BOUND
    await train.send(b"LHLO client.example\r\n" + b"NOOP\r\n" * times + message)
    while not resting.waiting:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    await short.send(message)
    assert await codes(short, 4) == [250, 250, 354, 250]
    assert (resting.waiting, len(stage.provider.rows(stage.key))) == (1, 2)
    # Who waits for a turn isn't idle, however long that takes.
    stage.connections[-1]._expired()
    resting.give_back("others")
    assert await codes(train, times + 6) == [220] + [250] * (times + 3) + [354, 250]
    # A text of its own makes it one like others.
    await resting.take("others")
    await train.send(message)
    assert await codes(train, 4) == [250, 250, 354, 250]
    resting.give_back("others")


@pytest.mark.parametrize("how", ["abort", "end of file", "shed"])
async def test_a_long_text_whose_connection_ends_while_it_waits_leaves_its_turn(
    held_back: tuple[Stage, Turns], how: str
) -> None:
    stage, resting = held_back
    assert stage.long_texts is not None
    stage.long_texts.short_came()
    wire = await Wire.to(stage.start())
    await wire.send(ENVELOPE + b"DATA\r\n")
    assert await codes(wire, 5) == [220, 250, 250, 250, 354]
    sending = asyncio.ensure_future(wire.send(32 * CHUNK * b"x"))
    while not resting.waiting:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    if how == "end of file":
        sending.cancel()
        wire.sock.shutdown(socket.SHUT_WR)
    elif how == "abort":
        stage.connections[0].end()
    else:
        stage.connections[0].shed()
    resting.give_back("others")
    async with asyncio.timeout(30):
        await asyncio.wait({sending})
        await stage.gone()
        # Its turn comes when others had theirs, and may rest.
        while resting.used:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
    assert (resting.waiting, stage.provider.rows(stage.key)) == (0, [])
