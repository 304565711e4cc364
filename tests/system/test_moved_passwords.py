"""An account moved here with the password that another system hashed, through the real program. G11, G13."""

import asyncio
import urllib.request
from uuid import uuid4

import asyncpg
import pytest

from tests.backends.demo import Account, RunningDemo
from tests.cli.conftest import await_true
from tests.system.clients.maildrop import Maildrop

HASHES = {
    "correct horse": "{SHA512-CRYPT}$6$saltsalt$"
    "hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    "test": "{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO",
}


def moved(demo: RunningDemo, password: str) -> Maildrop:
    tenant, domain = demo.accounts[0].tenant, demo.accounts[0].address.partition("@")[2]
    account = Account(tenant, f"moved-{uuid4().hex[:12]}@{domain}", password)
    demo.poplar("maildrop", "create", account.address)
    demo.poplar("credential", "import", account.address, told=HASHES[password] + "\n")
    return Maildrop(demo, account)


def verifier(maildrop: Maildrop) -> str:
    """What stands in the demo's Postgres."""
    local, _, domain = maildrop.account.address.partition("@")

    async def read() -> str:
        connection = await asyncpg.connect(maildrop.demo.ready["postgres"])
        try:
            statement = "SELECT verifier FROM credentials JOIN maildrops USING (tenant_id, maildrop_id)"
            return str(await connection.fetchval(statement + " WHERE local = $1 AND domain = $2", local, domain))
        finally:
            await connection.close()

    return asyncio.run(read())


def count(demo: RunningDemo, sample: str) -> float:
    with urllib.request.urlopen(demo.ready["http"] + "/metrics", timeout=30) as answer:  # noqa: S310
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(sample)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("password", HASHES)
def test_a_moved_password_opens_its_maildrop_and_is_argon2id_from_then_on(demo: RunningDemo, password: str) -> None:
    maildrop = moved(demo, password)
    renewed = 'poplar_verifiers_renewed_total{outcome="replaced"}'
    before = count(demo, renewed)
    assert maildrop.stat == (0, 0)
    await_true(lambda: verifier(maildrop).startswith("$argon2id$v=19$m=19456,t=2,p=1$"), "the renewed verifier")
    await_true(lambda: count(demo, renewed) == before + 1, "the renewal's count")
    kept = verifier(maildrop)
    assert maildrop.stat == (0, 0)
    wrong = Maildrop(demo, Account(maildrop.account.tenant, maildrop.account.address, password + " "))
    wire, answer = wrong.log_in(demo.place("pop3s"))
    wire.close()
    assert answer == b"-ERR [AUTH] Authentication failed\r\n"
    assert verifier(maildrop) == kept


def test_g11_a_changed_password_binds_the_next_login_though_the_old_one_is_remembered(demo: RunningDemo) -> None:
    maildrop = moved(demo, "test")
    hits = 'poplar_remembered_logins_total{outcome="hit"}'
    maildrop.demo.poplar("credential", "change", maildrop.account.address, "--password-stdin", told="test\n")
    before = count(demo, hits)
    for _ in range(2):
        assert maildrop.stat == (0, 0)
    assert count(demo, hits) == before + 1
    demo.poplar("credential", "change", maildrop.account.address, "--password-stdin", told="new\n")
    wire, answer = maildrop.log_in(demo.place("pop3s"))
    wire.close()
    assert answer == b"-ERR [AUTH] Authentication failed\r\n"
