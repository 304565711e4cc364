"""Every promise of `PasswordHashes`, on the in-memory twin and on Argon2id."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from nacl.pwhash import argon2id

from service.mail.ports import PasswordHashes
from service.model.refusal import Reason, Refusal
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.passwords import Argon2Hashes, Cost, argon2
from service.stores.standing_back import NICENESS

CHEAP = Cost(memory_kib=64, passes=1)


@pytest.fixture
def argon2_hashes() -> Iterator[Argon2Hashes]:
    hashes = Argon2Hashes(CHEAP, threads=2)
    yield hashes
    hashes.close()


@pytest.fixture(params=["memory", "argon2"])
def hashes(request: pytest.FixtureRequest) -> PasswordHashes:
    if request.param == "memory":
        return MemoryPasswordHashes()
    real: Argon2Hashes = request.getfixturevalue("argon2_hashes")
    return real


@pytest.mark.parametrize("password", ["secret", "with spaces at the end  ", "pässwörd ☃", "", "nul\0inside", "p" * 255])
async def test_the_right_password_matches_and_others_do_not(hashes: PasswordHashes, password: str) -> None:
    verifier = await hashes.hash(password)
    assert await hashes.verify(verifier, password)
    assert not await hashes.verify(verifier, password + " ")
    assert not await hashes.verify(verifier, password.upper() + "x")


async def test_g13_nobodys_password_never_matches(hashes: PasswordHashes) -> None:
    assert not await hashes.verify(None, "secret")
    assert not await hashes.verify(None, "")


async def test_d13_a_password_over_255_octets_never_matches(hashes: PasswordHashes) -> None:
    """RFC 4616 §2."""
    assert not await hashes.verify(await hashes.hash("p" * 255), "p" * 256)


@pytest.mark.parametrize(
    "garbled",
    ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=64,t=1,p=1$!!$!!", "plain", "ü" * 2000,
     "$argon2id$v=19$m=4000000,t=1,p=1$" + "A" * 22 + "$" + "A" * 43],
)  # fmt: skip
async def test_what_is_no_verifier_never_matches_and_never_raises(hashes: PasswordHashes, garbled: str) -> None:
    assert not await hashes.verify(garbled, "plain")
    assert not await hashes.verify(garbled, "")


async def test_a_verifier_is_argon2id_at_owasps_cost_by_default() -> None:
    hashes = Argon2Hashes(threads=1)
    verifier = await hashes.hash("secret")
    assert verifier.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hashes.verify(verifier, "secret")
    hashes.close()


async def test_a_verifier_made_at_another_cost_still_matches(argon2_hashes: Argon2Hashes) -> None:
    dearer = argon2id.str(b"secret", opslimit=3, memlimit=1 << 20).decode()
    assert await argon2_hashes.verify(dearer, "secret")
    assert not await argon2_hashes.verify(dearer, "Secret")


async def test_two_verifiers_of_one_password_differ(argon2_hashes: Argon2Hashes) -> None:
    assert await argon2_hashes.hash("secret") != await argon2_hashes.hash("secret")


async def test_a_password_over_255_octets_is_not_hashed(argon2_hashes: Argon2Hashes) -> None:
    with pytest.raises(Refusal) as refused:
        await argon2_hashes.hash("é" * 128)
    assert refused.value.reason is Reason.INVALID


@pytest.mark.parametrize(
    ("verifier", "password"), [(None, "secret"), ("garbled", "secret"), ("right", "p" * 256)],
    ids=["unknown name", "garbled verifier", "password too long"],
)  # fmt: skip
async def test_g13_every_refusal_computes_one_verification_at_full_cost(
    argon2_hashes: Argon2Hashes, monkeypatch: pytest.MonkeyPatch, verifier: str | None, password: str
) -> None:
    if verifier == "right":
        verifier = await argon2_hashes.hash("secret")
    computed: list[tuple[bytes, bytes]] = []
    real = argon2.matches

    def counted(against: bytes, secret: bytes) -> bool:
        computed.append((against, secret))
        return real(against, secret)

    monkeypatch.setattr(argon2, "matches", counted)
    assert not await argon2_hashes.verify(verifier, password)
    assert len(computed) == 1
    against, secret = computed[0]
    assert against.startswith(b"$argon2id$v=19$m=64,t=1,p=1$")
    assert len(secret) <= 255


async def test_d34_a_full_queue_refuses_as_overload_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = Argon2Hashes(CHEAP, threads=1, queue=2)
    verifier = await hashes.hash("secret")
    gate = threading.Event()
    real = argon2.matches

    def held(against: bytes, secret: bytes) -> bool:
        gate.wait(30)
        return real(against, secret)

    monkeypatch.setattr(argon2, "matches", held)
    waiting = [asyncio.create_task(hashes.verify(verifier, "secret")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await hashes.verify(verifier, "secret")
    assert refused.value.reason is Reason.OVERLOADED
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await hashes.verify(verifier, "secret")
    hashes.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the niceness of a thread")
async def test_d34_the_threads_that_compute_stand_back_behind_the_event_loop(
    argon2_hashes: Argon2Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    real = argon2.matches

    def seen(against: bytes, secret: bytes) -> bool:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return real(against, secret)

    monkeypatch.setattr(argon2, "matches", seen)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await argon2_hashes.verify(None, "secret")
    assert found == [min(own + NICENESS, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


async def test_a_caller_that_gives_up_frees_its_place_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = Argon2Hashes(CHEAP, threads=1, queue=1)
    verifier = await hashes.hash("secret")
    gate = threading.Event()
    real = argon2.matches

    def held(against: bytes, secret: bytes) -> bool:
        gate.wait(30)
        return real(against, secret)

    monkeypatch.setattr(argon2, "matches", held)
    running = asyncio.create_task(hashes.verify(verifier, "secret"))
    queued = asyncio.create_task(hashes.verify(verifier, "secret"))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.gather(queued, return_exceptions=True)
    another = asyncio.create_task(hashes.verify(verifier, "secret"))
    await asyncio.sleep(0)
    assert not another.done()
    gate.set()
    assert all(await asyncio.gather(running, another))
    hashes.close()
