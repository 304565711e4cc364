"""Who is told of a heavy tenant: the log, by name and not too often; the metrics, without one. G16, G17."""

import asyncio
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from service.app.fair import WORTH_TELLING, HeavyTenants, Shares
from service.mail.fairness import Fairness
from service.mail.patience import Patience
from service.mail.turns import Bounds, Turns
from service.mail.whose import Owners
from service.model.refusal import Reason, Refusal
from service.settings import Settings
from service.stores.memory.blobs import MemoryBlobStore
from service.telemetry import sharing
from service.telemetry.registries import own_registry

HEAVY, LIGHT = uuid4(), uuid4()


class Domains:
    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        return {"heavy.example": (HEAVY, "heavy"), "light.example": (LIGHT, "light")}.get(domain)


async def crowded(whose: UUID, times: int, turns: Turns) -> None:
    for _ in range(times):
        with pytest.raises(Refusal):
            await turns.take(whose)


@pytest.fixture
async def fairness() -> Fairness:
    owners = Owners(Domains(), Turns("domains", Bounds(1)))
    await owners.of("ada@heavy.example")
    await owners.of("ada@light.example")
    return Fairness(owners)


async def test_the_log_names_who_waited_most_and_the_metrics_name_nobody(fairness: Fairness) -> None:
    turns = Turns("hashing", Bounds(1, queue=0), sharing)
    await turns.take(LIGHT)
    await crowded(HEAVY, WORTH_TELLING, turns)
    await crowded(LIGHT, 2, turns)
    heavy = HeavyTenants([turns], fairness)
    with capture_logs() as lines:
        await heavy.tell()
        await heavy.tell()
    assert lines == [
        {"component": "shares", "resource": "hashing", "tenant": "heavy", "waited": WORTH_TELLING, "others": 2,
         "event": "heavy tenant", "log_level": "info"}
    ]  # fmt: skip
    said = own_registry().get_sample_value("poplar_turns_refused_total", {"resource": "hashing"})
    assert said is not None
    assert said >= WORTH_TELLING


async def test_a_few_that_waited_are_no_news(fairness: Fairness) -> None:
    turns = Turns("hashing", Bounds(1, queue=0))
    await turns.take(LIGHT)
    await crowded(HEAVY, WORTH_TELLING - 1, turns)
    with capture_logs() as lines:
        await HeavyTenants([turns], fairness).tell()
    assert lines == []


async def test_where_all_are_one_class_nobody_is_named() -> None:
    turns = Turns("hashing", Bounds(1, queue=0))
    await turns.take(None)
    await crowded(HEAVY, WORTH_TELLING, turns)
    with capture_logs() as lines:
        await HeavyTenants([turns], Fairness()).tell()
    assert lines == []


class Hanging(MemoryBlobStore):
    """Answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        return await super().read(key, start, end, patience)


async def test_g14_while_the_store_hangs_a_retrieval_that_waits_for_its_turn_is_refused_in_time() -> None:
    settings = Settings.model_validate({"object_store": {"deadline": 0.05}, "fairness": {"store_reads": 1}})
    hanging = Hanging()
    blobs = Shares.of(settings).blobs(hanging)
    reading = asyncio.create_task(blobs.read("key", 0, 1))
    await hanging.asked.wait()
    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as refused:
            await blobs.read("key", 0, 1)
    assert refused.value.reason is Reason.OVERLOADED
    reading.cancel()
