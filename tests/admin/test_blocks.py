"""Who is held back, by the HTTP API: for the provider alone. G10."""

import pytest

from service.mail.attempts import Charge
from service.model.attempts import Kind, Subject
from tests.admin.house import Served

ADDRESS, ACCOUNT = Subject(Kind.ADDRESS, "192.0.2.1"), Subject(Kind.ACCOUNT, "ada@acme.example")


@pytest.fixture
async def held(served: Served) -> Served:
    """An address and an account are held back."""
    await served.attempts.count([Charge(ADDRESS, 20.0, 100.0), Charge(ACCOUNT, 6.0, 100.0)])
    return served


async def test_the_provider_sees_who_is_held_back_page_by_page(held: Served) -> None:
    async with held.client("read-only") as client:
        first = (await client.get("/blocks?limit=1")).json()
        second = (await client.get(f"/blocks?limit=1&after={first['next']}")).json()
    (account,), (address,) = first["items"], second["items"]
    assert (account["by"], account["whom"], account["state"]) == ("account", "ada@acme.example", "delayed")
    assert (address["by"], address["whom"], address["state"]) == ("address", "192.0.2.1", "closed")
    assert (address["wrong_passwords"], address["lifts_in"] > 1000) == (20.0, True)
    assert second["next"] is None


async def test_the_support_desk_lifts_a_block_and_the_audit_tells_of_it(held: Served) -> None:
    async with held.client("support") as client:
        assert (await client.delete("/blocks", params={"whom": "192.0.2.0/24"})).status_code == 204
        assert (await client.delete("/blocks", params={"whom": "192.0.2.0/24"})).status_code == 404
        assert (await client.delete("/blocks", params={"whom": "a b"})).status_code == 422
        assert (await client.delete("/blocks")).status_code == 422
        (entry,) = (await client.get("/audit?action=block.clear")).json()["items"]
    assert (entry["actor"], entry["subject"]) == ("token:support", "192.0.2.0/24")
    assert [each.subject for each in await held.attempts.scored()] == [ACCOUNT]


@pytest.mark.parametrize(("who", "may_see"), [("acme", False), ("read-only", True)])
async def test_nobody_else_may_lift_it_and_no_tenant_may_see_it(held: Served, who: str, may_see: bool) -> None:
    async with held.client(who) as client:
        assert (await client.get("/blocks")).status_code == (200 if may_see else 403)
        assert (await client.delete("/blocks", params={"whom": "192.0.2.1"})).status_code == 403
    assert len(await held.attempts.scored()) == 2
