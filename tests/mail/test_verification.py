"""Right passwords that are remembered, and verifiers that are renewed. RFC 4616 §2, G11, G13, D34."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from service.mail import afterwards, renewals, verdicts
from service.mail.login import Attempt
from service.mail.renewals import Renewals
from service.mail.verification import Verification
from service.model.account import Credential
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.model.why import Why
from service.stores.memory.passwords import OLD, PREFIX, MemoryPasswordHashes
from service.stores.memory.state import SUSPENDED, CredentialRow
from service.stores.memory.verifiers import MemoryVerifiers
from service.stores.passwords import Argon2Hashes, Cost, argon2
from tests.mail.house import ADDRESS, SECRET, House

OTHER = "other@example.org"


class Counting(MemoryPasswordHashes):
    """Counts what is computed; `hash` waits for its gate and fails as told."""

    def __init__(self) -> None:
        self.verified: list[str | None] = []
        self.hashed: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def verify(self, verifier: str | None, password: str) -> bool:
        self.verified.append(verifier)
        return await super().verify(verifier, password)

    async def hash(self, password: str) -> str:
        await self.gate.wait()
        self.hashed.append(password)
        if self.fails:
            raise Refusal(Reason.OVERLOADED, "told to fail")
        return await super().hash(password)


@pytest.fixture
def hashes() -> Counting:
    return Counting()


@pytest.fixture
async def house(hashes: Counting) -> House:
    house = await House(hashes=hashes).furnish()
    hashes.hashed.clear()
    return house


async def come_and_go(house: House, secret: str = SECRET, name: str = ADDRESS) -> None:
    await house.update.close(await house.open(secret, name=name))


async def refused(house: House, secret: str = SECRET, name: str = ADDRESS) -> Reason:
    with pytest.raises(Refusal) as refusal:
        await house.open(secret, name=name)
    return refusal.value.reason


def row(house: House) -> CredentialRow:
    return house.provider.state.credentials[0]


async def test_a_right_password_is_computed_once_while_it_is_remembered(house: House, hashes: Counting) -> None:
    for _ in range(3):
        await come_and_go(house)
    assert len(hashes.verified) == 1
    house.clock.seconds += verdicts.SECONDS - 1
    await come_and_go(house)
    assert len(hashes.verified) == 1
    house.clock.seconds += 1
    await come_and_go(house)
    assert len(hashes.verified) == 2


async def test_g11_a_changed_password_is_not_the_remembered_one(house: House, hashes: Counting) -> None:
    await come_and_go(house)
    row(house).verifier = PREFIX + "new"
    assert await refused(house) is Reason.CREDENTIALS
    assert len(hashes.verified) == 2
    await come_and_go(house, "new")


async def test_g11_the_same_password_under_another_verifier_is_computed_again(house: House, hashes: Counting) -> None:
    row(house).verifier = OLD + SECRET
    await come_and_go(house)
    row(house).verifier = PREFIX + SECRET
    await come_and_go(house)
    assert hashes.verified == [OLD + SECRET, PREFIX + SECRET]


@pytest.mark.parametrize("what", ["tenant", "maildrop", "credential", "expired", "removed"])
async def test_g11_whatever_ends_a_credential_binds_the_next_login_though_it_is_remembered(
    house: House, what: str
) -> None:
    await come_and_go(house)
    state = house.provider.state
    match what:
        case "tenant":
            state.tenants[house.key.tenant_id].status = SUSPENDED
        case "maildrop":
            state.maildrops[house.key].status = SUSPENDED
        case "credential":
            row(house).status = SUSPENDED
        case "expired":
            row(house).expires = house.clock.now()
        case _:
            state.credentials.clear()
    assert await refused(house) is Reason.CREDENTIALS


async def test_g11_a_changed_policy_binds_the_next_login_though_it_is_remembered(house: House) -> None:
    await come_and_go(house)
    house.provider.state.maildrops[house.key].policy |= {"login_delay": 60, "login_burst": 1}
    await come_and_go(house)
    assert await refused(house) is Reason.LOGIN_DELAY


async def test_g13_a_wrong_password_costs_one_computation_whatever_is_remembered(
    house: House, hashes: Counting
) -> None:
    await come_and_go(house)
    hashes.verified.clear()
    for _ in range(2):
        assert await refused(house, "wrong") is Reason.CREDENTIALS
    assert await refused(house, name="nobody@example.org") is Reason.CREDENTIALS
    assert len(hashes.verified) == 3
    assert len(house.verdicts) == 1


@pytest.mark.parametrize("remembered", [False, True])
async def test_g13_a_password_that_can_t_be_prepared_opens_nothing_and_costs_one_computation(
    house: House, hashes: Counting, remembered: bool
) -> None:
    """Not even where the verifier, or what is remembered, is of those very octets."""
    if remembered:
        await come_and_go(house)
    hashes.verified.clear()
    with pytest.raises(Refusal) as refusal:
        await house.login(Attempt(Password(ADDRESS, SECRET, usable=False), "PLAIN", "s", "192.0.2.1"), lambda: None)
    assert (refusal.value.reason, refusal.value.why) == (Reason.CREDENTIALS, Why.UNUSABLE_SECRET)
    assert hashes.verified == [None]


async def test_a_second_password_that_is_remembered_costs_nothing_for_the_first(house: House, hashes: Counting) -> None:
    second = CredentialRow(house.key, uuid4(), PREFIX + "second", created=row(house).created)
    house.provider.state.credentials.append(second)
    await come_and_go(house, "second")
    hashes.verified.clear()
    await come_and_go(house, "second")
    assert hashes.verified == []


async def test_r55_an_identity_one_may_not_act_for_is_refused_though_the_password_is_remembered(house: House) -> None:
    await come_and_go(house)
    with pytest.raises(Refusal):
        await house.login(Attempt(Password(ADDRESS, SECRET, OTHER), "PLAIN", "s", "192.0.2.1"), lambda: None)


@pytest.fixture
def full_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Argon2 computes nothing until the event is set."""
    gate = threading.Event()
    gate.set()
    real = argon2.matches

    def held(verifier: bytes, secret: bytes) -> bool:
        gate.wait(60)
        return real(verifier, secret)

    monkeypatch.setattr(argon2, "matches", held)
    yield gate
    gate.set()


async def test_d34_a_flood_of_wrong_passwords_is_told_to_wait_and_slows_no_remembered_login(
    full_queue: threading.Event,
) -> None:
    """The queue is full and its threads stand still for the whole test: what waited for either would never end."""
    hashes = Argon2Hashes(Cost(memory_kib=64, passes=1), threads=1, queue=2)
    house = await House(hashes=hashes).furnish()
    await come_and_go(house)
    full_queue.clear()
    flood = [asyncio.create_task(refused(house, f"wrong {n}")) for n in range(3)]
    await asyncio.sleep(0)
    for n in range(20):
        assert await refused(house, f"more {n}", ADDRESS if n % 2 else "nobody@example.org") is Reason.OVERLOADED
        await come_and_go(house)
    assert not any(task.done() for task in flood)
    full_queue.set()
    assert await asyncio.gather(*flood) == [Reason.CREDENTIALS] * 3
    hashes.close()


async def test_a_verifier_of_another_system_is_renewed_beside_the_login(house: House, hashes: Counting) -> None:
    row(house).verifier = OLD + SECRET
    hashes.gate.clear()
    await come_and_go(house)
    assert row(house).verifier == OLD + SECRET
    hashes.gate.set()
    await house.renewals.settled()
    assert row(house).verifier == PREFIX + SECRET
    await come_and_go(house)
    await house.renewals.settled()
    assert hashes.hashed == [SECRET]


@pytest.mark.parametrize("verifier", [PREFIX + SECRET, PREFIX + "another"])
async def test_a_verifier_of_today_and_a_wrong_password_renew_nothing(
    house: House, hashes: Counting, verifier: str
) -> None:
    row(house).verifier = verifier
    if verifier == PREFIX + SECRET:
        await come_and_go(house)
    else:
        row(house).verifier = OLD + "another"
        assert await refused(house) is Reason.CREDENTIALS
    await house.renewals.settled()
    assert hashes.hashed == []


async def test_g11_a_password_changed_during_the_renewal_stays_changed(house: House, hashes: Counting) -> None:
    told: list[str] = []
    house = await with_renewals(house, told)
    row(house).verifier = OLD + SECRET
    hashes.gate.clear()
    await come_and_go(house)
    row(house).verifier = PREFIX + "changed"
    hashes.gate.set()
    await house.renewals.settled()
    assert row(house).verifier == PREFIX + "changed"
    assert told == ["outrun"]


async def test_a_renewal_that_fails_leaves_the_login_and_the_verifier_and_is_tried_again(
    house: House, hashes: Counting
) -> None:
    told: list[str] = []
    house = await with_renewals(house, told)
    row(house).verifier = OLD + SECRET
    hashes.fails = True
    await come_and_go(house)
    await house.renewals.settled()
    assert row(house).verifier == OLD + SECRET
    hashes.fails = False
    house.clock.seconds += verdicts.SECONDS
    await come_and_go(house)
    await house.renewals.settled()
    assert row(house).verifier == PREFIX + SECRET
    assert told == ["refused", "replaced"]


async def test_g15_renewals_are_bounded_and_one_at_a_time_for_a_credential(house: House, hashes: Counting) -> None:
    hashes.gate.clear()
    credentials = [Credential(uuid4(), "password", OLD + SECRET) for _ in range(renewals.MOST + 5)]
    for credential in [*credentials, *credentials]:
        house.renewals.begin(house.key, credential, SECRET)
    hashes.gate.set()
    await house.renewals.settled()
    assert len(hashes.hashed) == renewals.MOST


async def test_the_end_of_a_process_ends_the_renewals_that_are_late(
    house: House, hashes: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afterwards, "GRACE", 0.0)
    row(house).verifier = OLD + SECRET
    hashes.gate.clear()
    await come_and_go(house)
    await house.renewals.close()
    await house.renewals.settled()
    assert hashes.hashed == []
    assert row(house).verifier == OLD + SECRET


async def with_renewals(house: House, told: list[str]) -> House:
    """The same house, whose renewals tell what came of them."""
    house.renewals = Renewals(house.hashes, MemoryVerifiers(house.provider.state), told.append)
    verification = Verification(house.hashes, house.verdicts, house.renewals)
    house.login = replace(house.login, verification=verification)
    return house
