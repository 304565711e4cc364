"""A listing is paid for by what it really takes, imported unique-ids included. G15. RFC 1939 §4 and §7."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from service.mail.budget import Budget
from service.mail.fairness import Fairness
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Holder, Lease
from service.model.account import MaildropKey
from service.model.policy import Policy
from service.model.refusal import Refusal
from service.model.trail import NO_TRAIL
from service.net.pop3_listing import LISTING_OCTETS, HeldListing
from service.net.pop3_turns import SessionTurns
from tests.stores.worlds import MemoryWorld, deliver, message, one_maildrop

KEPT = "kept-by-the-server-it-came-from"


async def opened(world: MemoryWorld, key: MaildropKey) -> OpenMaildrop:
    drop = await world.index.open(key, b"\x01" * 16)
    holder = Holder("session", "acme", "ann@acme.example", "192.0.2.1", "USER", "pod", datetime.now(UTC))
    lease = Lease(key, "token", holder)
    return OpenMaildrop(key, "acme", "ann@acme.example", Policy(), drop, b"\x01" * 16, lease, True, NO_TRAIL)


async def test_g15_a_listing_holds_its_octets_until_it_is_forgotten() -> None:
    world, budget = MemoryWorld(), Budget(1 << 20)
    key = await one_maildrop(world)
    await deliver(world, key, message(), message(imported_unique_id=KEPT), message())
    listing = HeldListing(budget, SessionTurns(Fairness(), "192.0.2.1"))
    assert len(await listing.load(await opened(world, key), world.index)) == 3
    assert budget.used == 3 * LISTING_OCTETS + 16 + len(KEPT)
    listing.forget()
    listing.forget()
    assert budget.used == 0


async def test_g15_a_listing_that_is_refused_holds_nothing() -> None:
    world, budget = MemoryWorld(), Budget(1 << 20)
    key = await one_maildrop(world)
    await deliver(world, key, message())
    maildrop = await opened(world, key)
    elsewhere = maildrop._replace(key=MaildropKey(key.tenant_id, uuid4()))
    with pytest.raises(Refusal):
        await HeldListing(budget, SessionTurns(Fairness(), "192.0.2.1")).load(elsewhere, world.index)
    assert budget.used == 0
