"""When handshakes begin: one at a time, by the clients' networks, and none before its client spoke. G15, G16.

RFC 8314 §3.1 (a handshake begins at once), RFC 2595 §4 (after STLS).
"""

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from itertools import pairwise

import pytest

from service.mail.told import Untold
from service.mail.turns import Whose
from service.net import handshake_queue, handshakes
from service.net.arrival import connect
from service.net.handshake_queue import Rota
from service.net.handshakes import Handshakes
from service.net.peer import Peer
from service.net.tls_opening import InTurn, Opening, at_once
from tests.net.conftest import Stage
from tests.net.front import until
from tests.net.parrot import Parrot
from tests.net.test_tls import STARTTLS, stepped_up
from tests.net.test_tls_transport import IMPLICIT
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

HEAVY, LIGHT = "198.51.100.7", "203.0.113.9"
SPEAKER: ContextVar[str] = ContextVar("speaker", default="nobody")


class Rounds:
    """Counts the event loop's."""

    def __init__(self) -> None:
        self.count = 0
        self._go_on()

    def _go_on(self) -> None:
        self.count += 1
        self._next = asyncio.get_running_loop().call_soon(self._go_on)

    def stop(self) -> None:
        self._next.cancel()


def needed(do: Callable[[], object]) -> Callable[[], bool]:
    """A turn that is needed when it comes."""

    def begin() -> bool:
        do()
        return True

    return begin


async def passed(rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_g16_one_begins_after_another_however_many_are_ready() -> None:
    turns, rounds, began = Handshakes(), Rounds(), list[int]()
    for number in range(20):
        turns.begin(f"198.51.100.{number}", needed(lambda: began.append(rounds.count)))
    await passed(60)
    rounds.stop()
    assert len(began) == 20
    assert all(later > earlier for earlier, later in pairwise(began))


async def test_g16_many_of_one_network_keep_another_client_waiting_for_one() -> None:
    turns, order = Handshakes(), list[str]()
    for client in (*[HEAVY] * 20, LIGHT):
        turns.begin(client, needed(partial(order.append, client)))
    assert turns.waiting == 20
    await passed(60)
    assert (len(order), turns.waiting) == (21, 0)
    assert order.index(LIGHT) <= 2


def owner(network: str) -> Whose:
    """Two tenants that are known by address, and strangers."""
    return next((tenant for tenant in ("198.51.100", "192.0.2") if network.startswith(tenant)), None)


async def test_g16_a_crowd_of_one_tenant_or_of_strangers_keeps_another_tenants_client_waiting_for_few() -> None:
    turns, order = Handshakes(whose=owner), list[str]()
    known = [f"198.51.100.{number}" for number in range(40)]
    unknown = [f"203.0.113.{number}" for number in range(40)]
    for client in (*known, *unknown, "192.0.2.1"):
        turns.begin(client, needed(partial(order.append, client)))
    await passed(100)
    assert order.index("192.0.2.1") <= 5
    # Strangers have every second turn, whoever came first.
    assert abs(sum(client in unknown for client in order[:41]) - 20) <= 1
    assert sorted(order) == sorted([*known, *unknown, "192.0.2.1"])


async def test_g16_strangers_have_every_second_turn_however_many_tenants_wait() -> None:
    turns, order = Handshakes(whose=lambda network: network if network.startswith("10.") else None), list[str]()
    for client in (*[f"10.0.{tenant}.1" for tenant in range(50)] * 2, *[f"203.0.113.{n}" for n in range(20)]):
        turns.begin(client, needed(partial(order.append, client)))
    await passed(140)
    assert len(order) == 120
    assert order.index("203.0.113.19") <= 42


async def test_g16_a_stranger_waits_for_few_of_a_tenants_crowd() -> None:
    turns, order = Handshakes(whose=owner), list[str]()
    for client in (*[f"198.51.100.{number}" for number in range(40)], LIGHT):
        turns.begin(client, needed(partial(order.append, client)))
    await passed(60)
    assert order.index(LIGHT) <= 2


@pytest.mark.parametrize("leaving", ["192.0.2", "203.0.113"])
async def test_g16_those_who_left_take_no_turn_of_whoever_comes_after_them(leaving: str) -> None:
    """Of 60 clients that are gone again, a tenant's or strangers, the next one has the turn."""
    turns, order = Handshakes(whose=owner), list[str]()
    for _ in range(200):
        turns.begin("198.51.100.1", needed(partial(order.append, "rival")))
    for number in range(60):
        turns.begin(f"{leaving}.{number}", lambda: False)
    turns.begin(f"{leaving}.99", needed(partial(order.append, "real")))
    await passed(220)
    assert len(order) == 201
    assert order.index("real") <= 2


async def test_g15_no_more_than_so_many_debts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake_queue, "DEBTS", 10)
    rota = Rota()
    rota.join("always")
    for number in range(100):
        rota.join(number)
        assert rota.first() in {"always", number}
        rota.leave(number)
        rota.pay(number)
    assert len(rota._paid) <= 10
    assert rota.first() == "always"


async def test_g16_those_who_left_are_passed_over_in_the_same_round_but_only_so_many() -> None:
    turns, rounds, began = Handshakes(), Rounds(), list[int]()
    left: list[int] = []

    def leaves() -> bool:
        left.append(rounds.count)
        return False

    turns.begin(HEAVY, lambda: True)
    for _ in range(handshakes.PASSED_OVER + 9):
        turns.begin(HEAVY, leaves)
    turns.begin(HEAVY, needed(lambda: began.append(rounds.count)))
    await passed(10)
    rounds.stop()
    first, last = left[0], left[-1]
    assert (left.count(first), left.count(last)) == (handshakes.PASSED_OVER, 9)
    assert began == [last]


class Noted(Untold):
    """Notes in whose context it was told of a wait."""

    def __init__(self) -> None:
        self.waits: list[str] = []

    def waited(self, resource: str, seconds: float) -> None:
        self.waits.append(SPEAKER.get())


async def test_each_begins_in_the_context_of_who_asked_and_its_wait_is_told_there() -> None:
    """Spans and lines of one connection's handshake are never another's."""
    told, began = Noted(), list[str]()
    turns = Handshakes(told)

    def asks(name: str) -> None:
        SPEAKER.set(name)
        turns.begin(HEAVY, needed(lambda: began.append(SPEAKER.get())))

    for name in ("first", "second", "third"):
        copy_context().run(asks, name)
    await passed(6)
    assert began == ["first", "second", "third"]
    assert told.waits == ["second", "third"]


async def test_a_handshake_that_breaks_leaves_the_turn_to_the_next() -> None:
    turns, began = Handshakes(), list[str]()

    def breaks() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turns.begin(HEAVY, breaks)
    turns.begin(LIGHT, needed(lambda: began.append(LIGHT)))
    await passed(3)
    assert began == [LIGHT]


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A period ends when the test says so, however long a busy machine takes."""
    monkeypatch.setattr(handshakes, "PERIOD", 600.0)
    monkeypatch.setattr(handshakes, "LOOKING", 600.0)


@pytest.mark.usefixtures("by_hand")
async def test_g16_a_process_that_computes_many_stands_back_until_they_are_fewer() -> None:
    told: list[bool] = []
    turns = Handshakes(stand_back=told.append)
    for number in range(handshakes.MANY):
        turns.begin(f"198.51.100.{number}", lambda: True)
    await passed(handshakes.MANY)
    turns._look()
    assert told == [True]
    turns._look()
    assert told == [True, False]
    turns.begin(LIGHT, lambda: True)
    turns._look()
    assert told == [True, False]


@pytest.mark.usefixtures("by_hand")
async def test_g16_between_two_of_many_the_sockets_are_looked_at_more_often_than_between_two_of_few() -> None:
    """What a session waits for takes some hops of the event loop, each of which would stand behind a handshake."""
    turns, rounds, began = Handshakes(), Rounds(), list[int]()
    for number in range(handshakes.MANY + 5):
        turns.begin(f"198.51.100.{number}", needed(lambda: began.append(rounds.count)))
    await passed(handshakes.MANY)
    assert {later - earlier for earlier, later in pairwise(began)} == {1}
    few = len(began)
    turns._look()
    await passed(6 * handshakes.LOOKS)
    rounds.stop()
    assert {later - earlier for earlier, later in pairwise(began[few:])} == {handshakes.LOOKS}
    assert len(began) == handshakes.MANY + 5


@pytest.mark.usefixtures("by_hand")
async def test_one_who_connects_waits_for_no_further_look_once_busy_sessions_took_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshakes, "LOOKING", 0.0)
    turns, rounds, began = Handshakes(), Rounds(), list[int]()
    for number in range(handshakes.MANY + 5):
        turns.begin(f"198.51.100.{number}", needed(lambda: began.append(rounds.count)))
    await passed(handshakes.MANY)
    turns._look()
    await passed(10)
    rounds.stop()
    assert len(began) == handshakes.MANY + 5
    assert {later - earlier for earlier, later in pairwise(began)} == {1}


@pytest.mark.usefixtures("by_hand")
async def test_g16_a_process_stands_back_as_long_as_some_wait_of_those_many() -> None:
    told: list[bool] = []
    turns = Handshakes(stand_back=told.append)
    for number in range(2 * handshakes.MANY + 9):
        turns.begin(f"198.51.100.{number}", lambda: True)
    await passed(handshakes.MANY)
    turns._look()
    turns._look()
    assert told == [True], "few had their turn since, but as many wait"
    await passed((handshakes.MANY + 10) * handshakes.LOOKS)
    turns._look()
    turns._look()
    assert told == [True, False]


@pytest.mark.usefixtures("by_hand")
async def test_g16_those_who_left_cost_one_look_even_among_many() -> None:
    """Nothing was computed: whoever waits behind them needn't wait for more looks."""
    turns, rounds, began, left = Handshakes(), Rounds(), list[int](), list[int]()
    for _ in range(handshakes.MANY):
        turns.begin(HEAVY, lambda: True)
    await passed(handshakes.MANY + 1)
    turns._look()

    def leaves() -> bool:
        left.append(rounds.count)
        return False

    turns.begin(HEAVY, lambda: True)
    for _ in range(handshakes.PASSED_OVER):
        turns.begin(HEAVY, leaves)
    turns.begin(HEAVY, needed(lambda: began.append(rounds.count)))
    await passed(4 * handshakes.LOOKS)
    rounds.stop()
    assert began == [left[-1] + 1]


class Turn:
    """Keeps what is to be done in it until it comes."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def __call__(self, begin: Callable[[], bool]) -> None:
        self.begin = begin
        self.asked.set()


async def connect_secured(opening: Opening, sock: socket.socket, seconds: float) -> None:
    try:
        connect(opening, sock, lambda _error: None)
        await opening.done(seconds)
    except asyncio.CancelledError:
        opening.abort()
        raise


async def opened(stage: Stage, turn: InTurn, seconds: float) -> tuple[Opening, "asyncio.Task[None]", socket.socket]:
    """A connection on its way, and the client's end of it."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    context = stage.certificates.context()
    opening = Opening(Parrot(Peer(HEAVY, 1, "pop3s"), context, 30.0), context, turn, 1.0)
    return opening, asyncio.create_task(connect_secured(opening, near, seconds)), far


async def test_g15_a_client_that_says_nothing_takes_no_turn_and_is_given_up(stage: Stage) -> None:
    turn = Turn()
    _, connecting, far = await opened(stage, turn, 0.05)
    with pytest.raises(OSError, match="too long"):
        await connecting
    assert not turn.asked.is_set()
    assert await asyncio.get_running_loop().sock_recv(far, 1) == b""
    far.close()


async def test_one_whose_turn_comes_too_late_has_no_handshake(stage: Stage) -> None:
    turn = Turn()
    _, connecting, far = await opened(stage, turn, 0.2)
    far.send(b"\x16")
    await turn.asked.wait()
    with pytest.raises(OSError, match="too long"):
        await connecting
    turn.begin()
    far.close()


async def test_g15_while_a_client_waits_for_its_turn_one_more_read_is_all_that_it_gets(stage: Stage) -> None:
    turn = Turn()
    opening, connecting, far = await opened(stage, turn, 30.0)
    far.send(b"\x16")
    await turn.asked.wait()
    raw = opening._raw
    assert raw is not None
    far.send(b"\x03")
    await until(lambda: not raw.is_reading())
    far.close()
    turn.begin()
    with pytest.raises((OSError, ssl.SSLError)):
        await connecting


async def test_g15_of_a_client_that_left_before_its_turn_nothing_is_kept(stage: Stage) -> None:
    turn = Turn()
    opening, connecting, far = await opened(stage, turn, 30.0)
    protocol = weakref.ref(opening._protocol)
    far.send(b"\x16" * 1000)
    await turn.asked.wait()
    far.close()
    with pytest.raises(OSError, match="left"):
        await connecting
    assert (opening._came, opening._tls) == (b"", None)
    gc.collect()
    assert protocol() is None
    assert not turn.begin()


async def test_g15_one_that_is_given_up_before_its_transport_is_there_is_closed(stage: Stage) -> None:
    opening, connecting, far = await opened(stage, Turn(), 30.0)
    opening.abort()
    with pytest.raises(OSError, match="given up"):
        await connecting
    assert await asyncio.get_running_loop().sock_recv(far, 1) == b""
    far.close()


async def test_one_that_is_given_up_while_it_waits_is_closed(stage: Stage) -> None:
    turn = Turn()
    _, connecting, far = await opened(stage, turn, 30.0)
    far.send(b"\x16")
    await turn.asked.wait()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    turn.begin()
    far.close()


async def test_one_given_up_in_the_round_in_which_its_handshake_ends_is_told_of_no_connection(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    opening, connecting, far = await opened(stage, at_once, 30.0)
    parrot = opening._protocol
    client = TlsWire(Wire(far), trusting, "pop.example")
    last = await client.last_words()
    connecting.cancel()
    # What the event loop read in this round.
    opening.data_received(last)
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert isinstance(parrot, Parrot)
    assert (parrot._transport, parrot.lost) == (None, 0)
    far.close()


async def test_silent_clients_keep_nobody_waiting(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8314 §3.1: the handshake begins immediately."""
    port = stage.start(IMPLICIT)
    silent = [await Wire.to(port) for _ in range(3)]
    client = TlsWire(await Wire.to(port), trusting, "pop.example")
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    for wire in silent:
        wire.close()


class Counted(Handshakes):
    """Notes who had a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []

    def begin(self, client: str, begin: Callable[[], bool]) -> None:
        self.begun.append(client)
        super().begin(client, begin)


async def test_g16_a_hello_in_several_pieces_takes_a_turn_for_each_and_what_comes_later_none(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    """Whichever of them is the last, the handshake is computed with it."""
    stage.handshakes = counted = Counted()
    wire = await Wire.to(stage.start(IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    hello = client.hello()
    for number, piece in enumerate((hello[:1], hello[1:9], hello[9:])):
        await until(lambda: len(counted.begun) == number)  # noqa: B023 - it is called in this round alone
        await wire.send(piece)
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    assert counted.begun == ["127.0.0.1"] * 3


async def test_g16_the_handshake_after_stls_has_its_turn_among_the_others(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    stage.handshakes = counted = Counted()
    wire = await Wire.to(stage.start(STARTTLS))
    await wire.line()
    await wire.send(b"STLS\r\n")
    client = await stepped_up(wire, trusting)
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"
    assert counted.begun == ["127.0.0.1"]


async def test_g16_a_hello_that_must_be_said_again_takes_a_turn_each_time(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    """RFC 8446 §4.1.4: the server asks for a share of the one group it takes, and signs after the second hello only."""
    stage.certificates.context().set_ecdh_curve("secp521r1")
    stage.handshakes = counted = Counted()
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    assert counted.begun == ["127.0.0.1"] * 2


async def test_g16_what_a_tls_1_2_client_computes_with_takes_a_turn(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 5246 §7.3: its ClientKeyExchange comes after the server's first flight."""
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    stage.handshakes = counted = Counted()
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    assert counted.begun == ["127.0.0.1"] * 2
