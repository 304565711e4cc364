"""Recipients that were found lately needn't be looked up. RFC 5321 §3.3, RFC 2033 §4.2."""

from dataclasses import replace

import pytest

from service.mail.delivery import Delivery, DeliveryStores
from service.mail.recipients import SECONDS, FoundRecipients
from service.mail.text_memory import TextMemory
from service.model.account import Recipient
from service.model.address import Address, parse_address
from service.model.envelope import Envelope
from service.model.refusal import Reason, Refusal
from tests.mail.provider import Provider


class Desk:
    """Deliveries that remember whom they found."""

    def __init__(self, provider: Provider, most: int = 4096) -> None:
        self.lately = FoundRecipients(provider.clock, most=most)
        provider.add("u@a.example")
        stores = DeliveryStores(provider.directory, provider.blobs, provider.index, provider.clock, self.lately)
        self.delivery = Delivery(stores, "mx.example", TextMemory(1 << 28))

    async def find(self, text: str) -> Recipient:
        return await self.delivery.resolve(parse_address(text))

    def known(self, text: str) -> bool:
        return self.delivery.try_resolve(parse_address(text)) is not None

    async def deliver(self, recipient: Recipient) -> Refusal | None:
        envelope = Envelope("", (recipient,), "client.example", "LMTP")
        transaction = await self.delivery.begin(envelope, "192.0.2.7")
        transaction.offer(b"Subject: x\r\n\r\n")
        return (await transaction.deliver())[0]


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def desk(provider: Provider) -> Desk:
    return Desk(provider)


async def test_a_recipient_that_was_found_is_known_with_any_tag_for_a_while(desk: Desk, provider: Provider) -> None:
    assert not desk.known("u@a.example")
    found = await desk.find("u@a.example")
    assert desk.delivery.try_resolve(Address("u", "a.example", "tag")) is found
    provider.clock.seconds += SECONDS
    assert not desk.known("u@a.example")


async def test_whoever_was_not_found_is_asked_for_again(desk: Desk, provider: Provider) -> None:
    with pytest.raises(Refusal):
        await desk.find("new@a.example")
    assert not desk.known("new@a.example")
    provider.add("new@a.example")
    await desk.find("new@a.example")
    assert desk.known("new@a.example")


async def test_aliases_and_catch_alls_are_asked_for_each_time_as_they_may_lead_elsewhere(
    desk: Desk, provider: Provider
) -> None:
    key = provider.add("v@a.example")
    provider.alias("other@a.example", key)
    provider.alias("@a.example", key)
    await desk.find("other@a.example")
    await desk.find("whoever@a.example")
    assert len(desk.lately) == 0


async def test_who_was_suspended_since_gets_no_mail_and_is_refused_at_once_from_then_on(
    desk: Desk, provider: Provider
) -> None:
    found = await desk.find("u@a.example")
    provider.state.maildrops[found.key].status = "suspended"
    assert desk.known("u@a.example")
    refusal = await desk.deliver(found)
    assert refusal is not None
    assert refusal.reason is Reason.SUSPENDED
    assert await provider.keys() == []
    assert not desk.known("u@a.example")
    with pytest.raises(Refusal) as refused:
        await desk.find("u@a.example")
    assert refused.value.reason is Reason.SUSPENDED


async def test_a_delivery_that_succeeds_forgets_nobody(desk: Desk) -> None:
    assert await desk.deliver(await desk.find("u@a.example")) is None
    assert desk.known("u@a.example")


async def test_g15_no_more_than_a_bound_are_remembered_the_oldest_go_first(provider: Provider) -> None:
    desk = Desk(provider, most=2)
    for name in ("v", "w"):
        provider.add(f"{name}@a.example")
    for name in ("u", "v", "u", "w"):
        await desk.find(f"{name}@a.example")
    assert [name for name in ("u", "v", "w") if desk.known(f"{name}@a.example")] == ["u", "w"]


async def test_those_whose_time_is_over_go_with_the_next_one(desk: Desk, provider: Provider) -> None:
    provider.add("v@a.example")
    await desk.find("u@a.example")
    provider.clock.seconds += SECONDS
    await desk.find("v@a.example")
    assert len(desk.lately) == 1


async def test_without_seconds_nobody_is_remembered(provider: Provider) -> None:
    provider.add("u@a.example")
    recipient = await provider.directory.resolve(parse_address("u@a.example"))
    nobody = FoundRecipients(provider.clock, seconds=0.0)
    nobody.remember(parse_address("u@a.example"), recipient)
    nobody.remember(parse_address("u@a.example"), replace(recipient, tenant="other"))
    assert len(nobody) == 0
