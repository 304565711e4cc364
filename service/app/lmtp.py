"""LMTP: the delivery over its stores, with its bounds, as every connection shares it.

Owns which setting bounds what. Refuses to know the protocol.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from service.app.clock import SystemClock
from service.app.directories import open_accounts
from service.app.fair import long_texts, most_of, pace_of
from service.app.listening import Service
from service.app.shared import MEASURE_EVERY, Shared
from service.mail.delivery import Delivery, DeliveryStores
from service.mail.recipients import FoundRecipients
from service.mail.text_memory import TextMemory
from service.mail.underway import EVERY
from service.net.lmtp import LmtpConnection
from service.net.lmtp_service import LmtpOptions, LmtpService
from service.protocol.lmtp.state import Terms
from service.settings import Settings
from service.stores.postgres.deliveries import DeliveryDirectory, DeliveryIndex
from service.telemetry import metrics, sharing


@asynccontextmanager
async def lmtp_service(shared: Shared, context: ssl.SSLContext | None) -> AsyncIterator[Service]:
    """LMTP connections, until the block ends."""
    settings = shared.settings
    async with (
        shared.database("lmtp") as database,
        open_accounts(settings, database, DeliveryDirectory) as (directory, _),
    ):
        clock = SystemClock()
        stores = DeliveryStores(directory, shared.blobs, DeliveryIndex(database), clock, FoundRecipients(clock))
        delivery = Delivery(stores, settings.hostname, _memory(shared))
        shared.tasks.every("silent senders", EVERY, delivery.underway.make_room)
        pace = pace_of(settings)
        more = (lmtp_options(settings), shared.events, shared.tracer, pace, long_texts(pace, shared.waiting))
        service = LmtpService(delivery, terms(settings), context, *more)
        yield Service(partial(LmtpConnection, service), context)


def terms(settings: Settings) -> Terms:
    """What the reply to LHLO promises; STARTTLS is decided for each connection."""
    return Terms(
        host=settings.hostname,
        max_octets=settings.limits.message_octets,
        max_recipients=settings.limits.recipients,
    )


def lmtp_options(settings: Settings) -> LmtpOptions:
    """How connections behave."""
    return LmtpOptions(
        idle=settings.deadlines.lmtp_idle,
        stall=settings.deadlines.stall,
        handshake=settings.deadlines.handshake,
        buffered=settings.limits.session_octets,
    )


def _memory(shared: Shared) -> TextMemory:
    bound, most = shared.settings.limits.delivery_octets, most_of(shared.settings)
    memory = TextMemory(bound, most=most, told=sharing)

    async def measure() -> None:
        metrics.budget_used("delivery", memory.used)
        # Texts wait for their half, however much is free in the other.
        metrics.budget_used("delivery_first", memory.first.used)
        metrics.budget_used("delivery_more", memory.more.used)

    shared.waiting.watch(memory.first.turns, memory.more.turns)
    shared.tasks.every("delivery budget", MEASURE_EVERY, measure)
    return memory
