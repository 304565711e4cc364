"""Whom staff see held back, and whom they mean when they lift it."""

import pytest

from service.mail.attempts import Charge
from service.mail.blocks import Block, Blocks
from service.mail.counting import Rules
from service.mail.provisioning import Office
from service.mail.tenancy import AuditQuery
from service.model.attempts import Kind, Limit, Subject
from service.model.refusal import Reason, Refusal
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from tests.mail.provider import SetClock

LIMITS = dict.fromkeys(Kind, Limit(4, 8)) | {Kind.TENANT: Limit(4, 0)}
SCORES = {
    Subject(Kind.ADDRESS, "192.0.2.1"): 9,
    Subject(Kind.ADDRESS, "192.0.2.200"): 5,
    Subject(Kind.ADDRESS, "2001:db8:1:2::/64"): 16,
    Subject(Kind.NETWORK, "2001:db8:1::/48"): 5,
    Subject(Kind.PAIR, "ann@acme.example 192.0.2.1"): 8,
    Subject(Kind.PAIR, "bob@acme.example 192.0.2.1"): 2,
    Subject(Kind.ACCOUNT, "ann@acme.example"): 4,
    Subject(Kind.TENANT, "acme"): 40,
}


class Desk:
    """The blocks of a service with these scores, and whoever clears them."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.attempts = MemoryAttempts(self.clock)
        self.blocks = Blocks(self.attempts, Rules(LIMITS), 900.0)
        self.office = Office(memory_tenancy(MemoryState()), "cli:tester")

    async def left(self) -> set[str]:
        return {each.subject.name for each in await self.attempts.scored()}


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.attempts.count([Charge(subject, score, 100.0) for subject, score in SCORES.items()])
    return desk


async def test_those_who_are_held_back_are_listed_with_how_and_for_how_long(desk: Desk) -> None:
    found = {(each.by, each.whom): each for each in await desk.blocks.every()}
    assert ("pair", "bob@acme.example 192.0.2.1") not in found
    assert {key: each.state for key, each in found.items()} == {
        ("address", "192.0.2.1"): "refused",
        ("address", "192.0.2.200"): "delayed",
        ("address", "2001:db8:1:2::/64"): "closed",
        ("network", "2001:db8:1::/48"): "delayed",
        ("pair", "ann@acme.example 192.0.2.1"): "refused",
        ("account", "ann@acme.example"): "delayed",
        ("tenant", "acme"): "delayed",
    }
    assert found["account", "ann@acme.example"] == Block("account", "ann@acme.example", "delayed", 4.0, 174)


async def test_in_as_many_seconds_as_it_says_a_block_is_over(desk: Desk) -> None:
    longest = (await desk.blocks.every())[0]
    assert longest.whom == "acme"
    desk.clock.seconds += longest.lifts_in - 5
    assert [each.whom for each in await desk.blocks.every()] == ["acme"]
    desk.clock.seconds += 5
    assert await desk.blocks.every() == []


@pytest.mark.parametrize(
    ("whom", "names"),
    [
        ("192.0.2.1", {"192.0.2.1", "ann@acme.example 192.0.2.1", "bob@acme.example 192.0.2.1"}),
        (" 192.0.2.200/32 ", {"192.0.2.200"}),
        (
            "192.0.2.0/24",
            {"192.0.2.1", "192.0.2.200", "ann@acme.example 192.0.2.1", "bob@acme.example 192.0.2.1"},
        ),
        ("2001:db8:1:2:3::4", {"2001:db8:1:2::/64", "2001:db8:1::/48"}),
        ("Ann@ACME.example", {"ann@acme.example", "ann@acme.example 192.0.2.1"}),
        ("acme", {"acme"}),
    ],
)
async def test_who_is_named_is_forgiven_and_nobody_else(desk: Desk, whom: str, names: set[str]) -> None:
    before = await desk.left()
    assert await desk.blocks.clear(desk.office, whom) == len(names)
    assert before - await desk.left() == names
    (entry,) = await desk.office.tenancy.audit.page(None, AuditQuery())
    assert (entry.actor, entry.action, entry.subject) == ("cli:tester", "block.clear", whom)


@pytest.mark.parametrize(
    ("whom", "reason"),
    [
        ("198.51.100.1", Reason.NOT_FOUND),
        ("eve@acme.example", Reason.NOT_FOUND),
        ("other", Reason.NOT_FOUND),
        ("@acme.example", Reason.INVALID),
        ("two words", Reason.INVALID),
        ("", Reason.INVALID),
    ],
)
async def test_who_has_no_wrong_passwords_can_t_be_forgiven(desk: Desk, whom: str, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        await desk.blocks.clear(desk.office, whom)
    assert refused.value.reason is reason
    assert len(await desk.left()) == len(SCORES)
    assert await desk.office.tenancy.audit.page(None, AuditQuery()) == []
