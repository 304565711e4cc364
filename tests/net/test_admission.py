"""Who gets a place and who goes when there is none (G15)."""

import ssl

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.net.admission import Admission, Ticket
from service.net.arrival import ListenerSpec
from service.net.listener import Rejection
from service.net.peer import TlsMode
from tests.net.conftest import Stage
from tests.net.wire import TlsWire, Wire

PLAIN = ListenerSpec("pop3", "127.0.0.1", 0)
IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)
BOTH = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


class Guest:
    def __init__(self) -> None:
        self.authenticated = False
        self.told_to_go = 0
        self.counted = 0

    def makes_room(self, guest: object) -> None:
        assert guest is self
        self.counted += 1

    def shed(self) -> None:
        self.told_to_go += 1


def enter(admission: Admission, guest: Guest) -> Ticket:
    ticket = admission.enter(guest, guest.makes_room)
    assert ticket is not None
    return ticket


def test_there_is_room_up_to_the_limit() -> None:
    admission = Admission(2)
    assert not any(enter(admission, Guest()).refused for _ in range(2))
    assert (admission.held, admission.leaving) == (2, 0)


def test_the_oldest_unauthenticated_guest_makes_room() -> None:
    admission = Admission(3)
    guests = [Guest() for _ in range(5)]
    for guest in guests[:3]:
        enter(admission, guest)
    guests[0].authenticated = True
    for guest in guests[3:]:
        assert not enter(admission, guest).refused
    assert [guest.told_to_go for guest in guests] == [guest.counted for guest in guests] == [0, 1, 1, 0, 0]


def test_when_all_are_authenticated_the_new_one_is_refused() -> None:
    admission = Admission(1)
    first = Guest()
    first.authenticated = True
    enter(admission, first)
    assert enter(admission, Guest()).refused
    assert (first.told_to_go, admission.held, admission.leaving) == (0, 1, 1)


def test_when_too_many_are_leaving_the_new_one_gets_no_word() -> None:
    admission = Admission(8)
    for _ in range(8 + 8 // 8 + 16):
        enter(admission, Guest())
    assert admission.enter(Guest(), Guest().makes_room) is None
    assert admission.held == 8


def test_a_guest_that_left_makes_room() -> None:
    admission = Admission(1)
    ticket = enter(admission, Guest())
    admission.leave(ticket)
    admission.leave(ticket)
    assert admission.held == 0
    assert not enter(admission, Guest()).refused


def test_a_place_passes_from_an_arrival_to_its_connection_with_its_age() -> None:
    admission = Admission(2)
    arrival, connection, younger = Guest(), Guest(), Guest()
    ticket = enter(admission, arrival)
    enter(admission, younger)
    ticket.guest, ticket.made_room = connection, connection.makes_room
    enter(admission, Guest())
    assert (arrival.told_to_go, connection.told_to_go, younger.told_to_go) == (0, 1, 0)


@pytest.mark.parametrize(
    ("first", "second", "third_fits"),
    [
        ("203.0.113.7", "203.0.113.7", False),
        ("203.0.113.7", "203.0.113.8", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", False),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", True),
        ("fe80::1%eth0", "fe80::2%eth0", False),
    ],
)
def test_an_address_or_an_ipv6_network_has_its_share(first: str, second: str, third_fits: bool) -> None:
    admission = Admission(10, per_address=2)
    tickets = [enter(admission, Guest()) for _ in range(3)]
    assert admission.claim(tickets[0], first)
    assert admission.claim(tickets[1], second)
    assert admission.claim(tickets[2], first) is third_fits


def test_an_address_gets_its_share_back() -> None:
    admission = Admission(10, per_address=1)
    for _ in range(3):
        ticket = enter(admission, Guest())
        assert admission.claim(ticket, "203.0.113.7")
        admission.leave(ticket)


class Crowd(RuleBasedStateMachine):
    """Guests come, prove themselves and go in any order; shed ones go late or never."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 4
        self.admission = Admission(self.limit)
        self.present: list[tuple[Guest, Ticket]] = []

    @rule()
    def come(self) -> None:
        guest = Guest()
        ticket = self.admission.enter(guest, guest.makes_room)
        if ticket is not None:
            self.present.append((guest, ticket))

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        guest, ticket = data.draw(st.sampled_from(self.present))
        if not guest.told_to_go and not ticket.refused:
            guest.authenticated = True

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.present))
        self.present.remove(pair)
        self.admission.leave(pair[1])

    @invariant()
    def the_limits_hold(self) -> None:
        assert self.admission.held <= self.limit
        assert self.admission.leaving <= self.limit // 8 + 16
        assert self.admission.held + self.admission.leaving == len(self.present)

    @invariant()
    def nobody_authenticated_is_told_to_go(self) -> None:
        assert not any(guest.told_to_go for guest, _ in self.present if guest.authenticated)
        assert all(guest.told_to_go <= 1 for guest, _ in self.present)


TestCrowd = Crowd.TestCase


@BOTH
async def test_the_oldest_client_is_refused_in_words_and_the_new_one_greeted(stage: Stage) -> None:
    stage.admission = Admission(2)
    port = stage.start(PLAIN)
    wires = []
    for _ in range(3):
        wires.append(await Wire.to(port))
        assert (await wires[-1].line()).startswith(b"+OK")
    assert await wires[0].rest() == b"-ERR shed\r\n"
    assert [(why, address) for why, address, _ in stage.rejections] == [(Rejection.SHED, "")]
    await wires[1].send(b"still here\r\n")
    assert await wires[1].line() == b"still here"


@BOTH
async def test_a_new_client_is_refused_in_words_instead_of_a_greeting(stage: Stage) -> None:
    stage.admission = Admission(1)
    port = stage.start(PLAIN)
    first = await Wire.to(port)
    await first.line()
    await first.send(b"AUTH\r\n")
    await first.line()
    assert await (await Wire.to(port)).rest() == b"-ERR shed\r\n"
    assert [why for why, _, _ in stage.rejections] == [Rejection.FULL]
    first.close()
    await stage.parrots[0].wait_closed()
    assert (await (await Wire.to(port)).line()).startswith(b"+OK")


@BOTH
async def test_a_set_up_that_stalls_is_shed_like_any_stranger(stage: Stage) -> None:
    stage.admission = Admission(1)
    port = stage.start(IMPLICIT)
    stalled = await Wire.to(port)
    await stalled.send(b"\x16")
    second = await Wire.to(port)
    assert await stalled.rest() == b""
    assert [(why, address) for why, address, _ in stage.rejections] == [(Rejection.SHED, "127.0.0.1")]
    second.close()


@BOTH
async def test_a_client_on_the_tls_port_is_refused_after_the_handshake(stage: Stage, trusting: ssl.SSLContext) -> None:
    stage.admission = Admission(1)
    port = stage.start(IMPLICIT)
    first = TlsWire(await Wire.to(port), trusting, "pop.example")
    await first.handshake()
    await first.line()
    await first.send(b"AUTH\r\n")
    await first.line()
    second = TlsWire(await Wire.to(port), trusting, "pop.example")
    await second.handshake()
    assert await second.line() == b"-ERR shed"
    assert await second.ended_with_close_notify()


@BOTH
async def test_more_than_the_margin_are_closed_without_a_word(stage: Stage, trusting: ssl.SSLContext) -> None:
    """Refused ones that never shake hands take up the margin."""
    stage.admission = Admission(1)
    port = stage.start(IMPLICIT)
    client = TlsWire(await Wire.to(port), trusting, "pop.example")
    await client.handshake()
    await client.line()
    await client.send(b"AUTH\r\n")
    await client.line()
    mute = [await Wire.to(port) for _ in range(16)]
    assert await (await Wire.to(port)).rest() == b""
    assert (stage.admission.held, stage.admission.leaving) == (1, len(mute))


@BOTH
async def test_one_address_has_its_share_of_connections(stage: Stage) -> None:
    stage.admission = Admission(10, per_address=1)
    port = stage.start(PLAIN)
    first = await Wire.to(port)
    await first.line()
    assert await (await Wire.to(port)).rest() == b"-ERR shed\r\n"
    assert [why for why, _, _ in stage.rejections] == [Rejection.PER_ADDRESS]
    await first.send(b"hello\r\n")
    assert await first.line() == b"hello"
