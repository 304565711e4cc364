"""What passwords cost to compute, by the settings. G13 (whatever is stored becomes what a refusal costs)."""

import pytest

from service.app.hashing import open_hashes
from service.settings.behaviour import HashingSettings
from service.stores.passwords import COSTS

OWASP = {"46MiB": (47104, 1), "19MiB": (19456, 2), "12MiB": (12288, 3), "9MiB": (9216, 4), "7MiB": (7168, 5)}


@pytest.mark.parametrize("argon2", OWASP)
async def test_a_verifier_has_the_memory_and_passes_of_owasps_advice(argon2: str) -> None:
    memory, passes = OWASP[argon2]
    async with open_hashes(HashingSettings.model_validate({"argon2": argon2, "threads": 1})) as hashes:
        verifier = await hashes.hash("secret")
        assert verifier.startswith(f"$argon2id$v=19$m={memory},t={passes},p=1$")
        assert await hashes.verify(verifier, "secret")
        assert not await hashes.verify(verifier, "Secret")
        assert hashes.current(verifier)


async def test_g13_a_verifier_of_another_cost_opens_and_is_to_be_renewed() -> None:
    async with open_hashes(HashingSettings()) as before:
        stored = await before.hash("secret")
    async with open_hashes(HashingSettings(argon2="7MiB")) as hashes:
        assert await hashes.verify(stored, "secret")
        assert not hashes.current(stored)


def test_each_setting_has_its_cost() -> None:
    assert {name: (cost.memory_kib, cost.passes) for name, cost in COSTS.items()} == OWASP
