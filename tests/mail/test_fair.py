"""Whose a name is, and hashing and reading of blobs in fair turns. G13, G16."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import pytest

from service.mail.fair import FairBlobs, FairHashes, SpareBlobs
from service.mail.turns import Bounds, Turns, Whose
from service.mail.whose import WHOSE, Owners
from service.model.refusal import Reason, Refusal
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.passwords import MemoryPasswordHashes

ACME, OTHER = uuid4(), uuid4()


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    token = WHOSE.set(None)
    yield
    WHOSE.reset(token)


class Domains:
    """Two tenants' domains, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        self.silent = False

    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        self.asked.append(domain)
        await asyncio.sleep(60 if self.silent else 0)
        if self.away:
            raise Refusal(Reason.UNAVAILABLE)
        return {"acme.example": (ACME, "acme"), "other.example": (OTHER, "other")}.get(domain)


def owners(domains: Domains, remembered: int = 10) -> Owners:
    return Owners(domains, Turns("domains", Bounds(2)), remembered)


async def test_a_name_is_its_domains_tenants_and_the_domain_is_asked_for_once() -> None:
    domains = Domains()
    known = owners(domains)
    assert await known.of("ada@acme.example") == ACME
    assert await known.of("ben@ACME.example") == ACME
    assert await known.of("ada@other.example") == OTHER
    assert domains.asked == ["acme.example", "other.example"]
    assert known.name(ACME) == "acme"


async def test_a_login_that_was_the_remembered_tenants_makes_nobody_ask_again() -> None:
    domains = Domains()
    known = owners(domains)
    known.confirm("ada@acme.example", OTHER)
    for _ in range(2):
        assert await known.of("ada@acme.example") == ACME
        known.confirm("ada@acme.example", ACME)
    assert domains.asked == ["acme.example"]
    known.confirm("ada@acme.example", OTHER)
    assert await known.of("ada@acme.example") == ACME
    assert domains.asked == ["acme.example"] * 2


async def test_g13_a_name_that_nobody_has_is_in_the_same_class_as_its_neighbours() -> None:
    known = owners(Domains())
    assert await known.of("nobody-has-this@acme.example") == await known.of("ada@acme.example") == ACME


@pytest.mark.parametrize("name", ["", "ada", "ada@", "ada@nowhere.example", "a b@acme.example"])
async def test_names_that_are_nobodys_share_one_class(name: str) -> None:
    known = owners(Domains())
    assert await known.of(name) is None
    assert known.name(None) == "nobody's"


async def test_a_domain_that_cannot_be_asked_for_is_nobodys_until_it_can() -> None:
    domains = Domains()
    known = owners(domains)
    domains.away = True
    assert await known.of("ada@acme.example") is None
    domains.away = False
    assert await known.of("ada@acme.example") == ACME


async def test_g14_while_nobody_answers_whose_a_domain_is_no_login_stands_in_line_for_it() -> None:
    domains, turns = Domains(), Turns("domains", Bounds(2))
    domains.silent = True
    known = Owners(domains, turns, patience=0.01)
    names = [f"ada@domain{number}.example" for number in range(50)]
    async with asyncio.timeout(10):
        assert set(await asyncio.gather(*map(known.of, names))) == {None}
    assert (turns.used, turns.waiting) == (0, 0)
    domains.silent = False
    assert await known.of("ada@acme.example") == ACME


async def test_many_that_come_at_once_ask_for_their_domain_but_a_few_times() -> None:
    domains = Domains()
    known = owners(domains)
    names = [f"user{number}@acme.example" for number in range(50)]
    assert set(await asyncio.gather(*map(known.of, names))) == {ACME}
    assert len(domains.asked) <= 2


async def test_g15_no_more_domains_are_remembered_than_were_allowed() -> None:
    domains = Domains()
    known = owners(domains, remembered=1)
    for name in ("ada@acme.example", "ada@other.example", "ada@acme.example"):
        await known.of(name)
    assert domains.asked == ["acme.example", "other.example", "acme.example"]
    assert known.name(OTHER) == str(OTHER)


class Gated(MemoryPasswordHashes):
    """Computes when it may, and tells for whom."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.order: list[Whose] = []

    async def verify(self, verifier: str | None, password: str) -> bool:
        await self.gate.wait()
        self.order.append(WHOSE.get())
        return await super().verify(verifier, password)


async def on_behalf_of(whose: Whose, hashes: FairHashes) -> bool:
    WHOSE.set(whose)
    return await hashes.verify(None, "wrong")


async def test_g16_a_flood_on_one_tenant_is_refused_and_another_is_computed_next() -> None:
    behind = Gated()
    hashes = FairHashes(behind, Turns("hashing", Bounds(1, queue=10, most=0.8)))
    flood = [asyncio.create_task(on_behalf_of("heavy", hashes)) for _ in range(20)]
    await asyncio.sleep(0)
    light = asyncio.create_task(on_behalf_of("light", hashes))
    await asyncio.sleep(0)
    behind.gate.set()
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(outcome, Refusal) for outcome in outcomes) == 11
    assert not await light
    assert behind.order.index("light") <= 2


async def test_a_verifier_is_adopted_and_judged_as_behind_the_turns() -> None:
    behind = MemoryPasswordHashes()
    hashes = FairHashes(behind, Turns("hashing", Bounds(1)))
    verifier = await hashes.hash("secret")
    assert await hashes.verify(verifier, "secret")
    assert hashes.current(verifier) == behind.current(verifier)
    assert hashes.adopt(verifier) == behind.adopt(verifier)
    assert hashes.turns.used == 0


@pytest.fixture
async def blobs() -> MemoryBlobStore:
    store = MemoryBlobStore()

    async def text() -> AsyncIterator[bytes]:
        yield b"x" * (3 << 20)

    await store.put("acme/1", text())
    return store


async def test_a_slow_reader_of_a_stream_keeps_no_turn_from_others(blobs: MemoryBlobStore) -> None:
    fair = FairBlobs(blobs, Turns("store", Bounds(1)))
    stream = fair.stream("acme/1", 0, 3 << 20)
    first = await anext(stream)
    assert fair.turns.used == 0
    assert await fair.read("acme/1", 0, 10) == b"x" * 10
    rest = [piece async for piece in stream]
    assert sum(map(len, (first, *rest))) == 3 << 20


async def test_a_failed_read_gives_its_turn_back(blobs: MemoryBlobStore) -> None:
    for fair in (FairBlobs(blobs, Turns("store", Bounds(2))), SpareBlobs(blobs, Turns("store", Bounds(2)))):
        with pytest.raises(Refusal):
            await fair.read("acme/none", 0, 1)
        assert fair.turns.used == 0


async def test_reading_ahead_takes_only_what_would_leave_half_of_the_turns_free(blobs: MemoryBlobStore) -> None:
    turns = Turns("store", Bounds(4))
    spare = SpareBlobs(blobs, turns)
    assert await spare.read("acme/1", 0, 1) == b"x"
    await turns.take("a")
    await turns.take("a")
    with pytest.raises(Refusal) as refused:
        await spare.read("acme/1", 0, 1)
    assert refused.value.reason is Reason.OVERLOADED
