"""Recipients that were remembered at RCPT and are gone after the text, over a socket, in memory and on Postgres.

RFC 5321 §3.3 (what was accepted may be refused after the text) and §4.2.1 (4yz: come again), RFC 2033 §4.2.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from service.mail.delivery import Delivery, DeliveryStores
from service.mail.ports import Directory, MessageIndex
from service.mail.recipients import FoundRecipients
from service.mail.text_memory import TextMemory
from service.model.account import MaildropKey
from service.net.admission import Admission
from service.net.arrival import ListenerSpec
from service.net.certificates import Certificates
from service.net.listener import Listener, Reception
from service.net.lmtp import LmtpConnection
from service.net.lmtp_service import LmtpOptions, LmtpService
from service.protocol.lmtp.state import Terms
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.postgres.deliveries import DeliveryDirectory, DeliveryIndex
from tests.mail.provider import SetClock
from tests.net.conftest import write_pair
from tests.net.wire import Wire
from tests.stores.worlds import PostgresWorld, World, one_maildrop

ALICE = "alice@acme.example"
ENVELOPE = f"MAIL FROM:<s@b.example>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n".encode()


@dataclass
class Sender:
    """A mail server with a connection to one of ours, which remembers recipients."""

    world: World
    wire: Wire

    async def send(self) -> list[bytes]:
        """The replies to RCPT and, if it was accepted, to the text."""
        await self.wire.send(ENVELOPE)
        _mail, recipient, data = [await self.wire.line() for _ in range(3)]
        if not data.startswith(b"354"):
            return [recipient]
        await self.wire.send(b"Subject: x\r\n\r\n.\r\n")
        return [recipient, await self.wire.line()]

    async def messages(self, key: MaildropKey) -> int:
        return (await self.world.index.open(key, bytes(16))).messages


@pytest.fixture
async def sender(world: World, tmp_path: Path, ca: trustme.CA) -> AsyncIterator[Sender]:
    write_pair(tmp_path, "default", ca, "mx.example")
    context = Certificates(tmp_path, alpn=()).context()
    clock = SetClock()
    stores = DeliveryStores(*rows(world), clock=clock, found=FoundRecipients(clock))
    service = LmtpService(
        Delivery(stores, "mx.example", TextMemory(1 << 28)), Terms("mx.example"), context, LmtpOptions()
    )
    reception = Reception(lambda peer: LmtpConnection(service, peer), Admission(100), context)
    listener = Listener(ListenerSpec("lmtp", "127.0.0.1", 0), reception)
    wire = await Wire.to(listener.start())
    await wire.send(b"LHLO client.example\r\n")
    while not (await wire.line()).startswith(b"250 "):
        pass
    yield Sender(world, wire)
    listener.end()
    await listener.wait_closed()


def rows(world: World) -> tuple[Directory, MemoryBlobStore, MessageIndex]:
    """The stores of a delivery as the service has them: those of many senders together, on Postgres."""
    if isinstance(world, PostgresWorld):
        return DeliveryDirectory(world.database), MemoryBlobStore(), DeliveryIndex(world.database)
    return world.directory, MemoryBlobStore(), world.index


async def anew(world: World, gone: MaildropKey) -> MaildropKey:
    return await world.maildrop(gone.tenant_id, ALICE)


async def an_alias(world: World, gone: MaildropKey) -> MaildropKey:
    bob = await world.maildrop(gone.tenant_id, "bob@acme.example")
    await world.alias(bob, ALICE)
    return bob


async def a_catch_all(world: World, gone: MaildropKey) -> MaildropKey:
    bob = await world.maildrop(gone.tenant_id, "bob@acme.example")
    await world.alias(bob, "@acme.example")
    return bob


@pytest.mark.parametrize("heir", [anew, an_alias, a_catch_all])
async def test_g1_mail_for_an_address_that_changed_hands_is_no_bounce_and_comes_there_the_next_time(
    world: World, sender: Sender, heir: Callable[[World, MaildropKey], Awaitable[MaildropKey]]
) -> None:
    gone = await one_maildrop(world)
    assert [reply[:3] for reply in await sender.send()] == [b"250", b"250"]
    await world.set_status(gone, "removed")
    key = await heir(world, gone)
    accepted, outcome = await sender.send()
    assert accepted[:3] == b"250"
    assert outcome == b"451 4.3.0 Temporary failure, try again later"
    assert [reply[:3] for reply in await sender.send()] == [b"250", b"250"]
    assert await sender.messages(key) == 1


async def test_mail_for_whoever_is_gone_for_good_is_a_bounce_the_next_time(world: World, sender: Sender) -> None:
    gone = await one_maildrop(world)
    assert [reply[:3] for reply in await sender.send()] == [b"250", b"250"]
    await world.set_status(gone, "removed")
    assert [reply[:3] for reply in await sender.send()] == [b"250", b"451"]
    assert await sender.send() == [b"550 5.1.1 No such recipient here"]
