"""`recent:` before a name: the same maildrop, its last days. G9, G11, G13.

RFC 4616 §2 (whom a name may act for), RFC 1939 §4 (the lock is the same).
"""

from datetime import UTC, datetime, timedelta

import pytest

from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.scram import ScramChallenges
from service.mail.viewing import bare, is_recent, shown
from service.model.policy import Policy
from service.model.proof import Password, Proof, ScramProof
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram
from service.model.shown import EVERYTHING, Shown
from service.stores.memory.state import SUSPENDED
from tests.mail.house import ADDRESS, SECRET, House

RECENT = f"recent:{ADDRESS}"
KEYS = derive_scram(SECRET, b"a salt of sixteen", 4096)
PROOFS: list[Proof] = [
    Password(RECENT, SECRET),
    Password(f"Recent:{ADDRESS.upper()}", SECRET),
    Password(ADDRESS, SECRET, authzid=RECENT),
    Password(RECENT, SECRET, authzid=ADDRESS),
    Password(RECENT, SECRET, authzid=RECENT),
    ScramProof(RECENT, KEYS, True, "nonce"),
    ScramProof(ADDRESS, KEYS, True, "nonce", authzid=RECENT),
]


async def house_with(*days: float) -> House:
    """A maildrop whose messages were received so many days ago."""
    house = await House().furnish(*(b"Subject: %d\r\n\r\n" % n for n in range(len(days))))
    house.provider.state.credentials[0].scram = KEYS.verifier
    for row, ago in zip(house.provider.state.messages[house.key].values(), days, strict=True):
        received = datetime.now(UTC) - timedelta(days=ago)
        row.message = type(row.message)(row.message.unique_id, row.message.blob, received)
    return house


async def opened(house: House, proof: Proof) -> OpenMaildrop:
    return await house.login(Attempt(proof, "PLAIN", "s", "192.0.2.1"), lambda: None)


async def refused(house: House, proof: Proof) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await opened(house, proof)
    return caught.value


@pytest.mark.parametrize("proof", PROOFS)
async def test_whoever_asks_for_recent_mail_sees_the_last_thirty_days(proof: Proof) -> None:
    house = await house_with(100, 31, 29, 0)
    held = await opened(house, proof)
    assert (held.key, held.address, held.recent) == (house.key, ADDRESS, True)
    assert held.drop.messages == 2
    assert list((await house.index.listing(held.key, held.drop)).sequences) == [3, 4]


async def test_without_the_prefix_everything_is_shown() -> None:
    held = await (await house_with(100, 31, 29, 0)).open()
    assert (held.recent, held.drop.messages) == (False, 4)


async def test_g4_both_names_are_one_maildrop_under_one_lock() -> None:
    house = await house_with(0)
    await house.open()
    assert (await refused(house, Password(RECENT, SECRET))).reason is Reason.IN_USE
    assert {holder.address for holder in await house.locks.holders()} == {ADDRESS}


async def test_g13_where_it_is_off_the_name_is_nobodys() -> None:
    house = await house_with(0)
    house.provider.state.maildrops[house.key].policy["recent_days"] = None
    for proof in PROOFS:
        refusal = await refused(house, proof)
        assert (refusal.reason, refusal.cause) == (Reason.CREDENTIALS, "the policy has recent: off")
    assert (await refused(house, Password(RECENT, "wrong"))).cause == "no credential matches"
    assert not await house.locks.holders()
    await house.open()


@pytest.mark.parametrize(
    "name", ["recent:", "recent:recent:" + ADDRESS, "recent:nobody@example.org", "recents:" + ADDRESS]
)
async def test_other_prefixes_are_names_that_nobody_has(name: str) -> None:
    refusal = await refused(await house_with(0), Password(name, SECRET))
    assert (refusal.reason, refusal.cause) == (Reason.CREDENTIALS, "no such account")


async def test_nobody_acts_for_another_by_asking_for_recent_mail() -> None:
    refusal = await refused(await house_with(0), Password(RECENT, SECRET, authzid="recent:bob@example.org"))
    assert (refusal.reason, refusal.cause) == (Reason.CREDENTIALS, "may not act for another")


@pytest.mark.parametrize(("off", "status"), [(False, "active"), (True, "active"), (False, SUSPENDED)])
async def test_g13_the_salt_does_not_tell_a_name_with_the_prefix_from_the_bare_one(off: bool, status: str) -> None:
    house = await house_with(0)
    house.provider.state.maildrops[house.key].status = status
    if off:
        house.provider.state.maildrops[house.key].policy["recent_days"] = None
    challenges = ScramChallenges(house.provider.directory, b"the secret of the whole service")
    for name in (ADDRESS, "nobody@example.org", "no name"):
        bare_keys, recent_keys = [(await challenges(each, "192.0.2.1"))[0] for each in (name, f"recent:{name}")]
        assert (bare_keys.salt, bare_keys.iterations) == (recent_keys.salt, recent_keys.iterations)
    own, _ = await challenges(RECENT, "192.0.2.1")
    assert (own == KEYS) is (not off and status == "active")


@pytest.mark.parametrize(("name", "counts"), [(ADDRESS, True), (RECENT, False)])
async def test_what_one_of_several_programs_retrieved_is_not_taken_from_the_others(name: str, counts: bool) -> None:
    house = await house_with(0)
    house.provider.state.maildrops[house.key].policy["retrieved_days"] = 0
    assert (await house.open(name=name)).counts_retrieval is counts


def test_of_several_bounds_the_narrowest_is_shown() -> None:
    day = datetime(2026, 1, 31, tzinfo=UTC)
    for policy, recent, seen in (
        (Policy(), False, EVERYTHING),
        (Policy(), True, Shown(days=30)),
        (Policy(shown_days=7), False, Shown(days=7)),
        (Policy(shown_days=7), True, Shown(days=7)),
        (Policy(shown_days=90, recent_days=14), True, Shown(days=14)),
        (Policy(shown_since="2026-01-31"), False, Shown(since=day)),
        (Policy(shown_since="2026-01-31", shown_days=7), False, Shown(since=day, days=7)),
    ):
        assert shown(policy, recent=recent) == seen


def test_the_prefix_is_taken_off_once_in_whatever_case() -> None:
    assert [bare(name) for name in ("RECENT:a", "recent:recent:a", "recent", "a")] == ["a", "recent:a", "recent", "a"]
    assert [is_recent(name) for name in ("Recent:a", "recent:", "recent", "a@recent:b")] == [True, True, False, False]
