"""The explanation in the HTTP API: for support and for a tenant's own admin, who is told of nobody else. G10."""

from datetime import UTC, datetime
from uuid import uuid4

from service.model.event import Event, Kind
from service.model.why import Why
from tests.admin.house import Served

PLACE = "/tenants/acme/maildrops/ada@acme.example/explanation"
TYPO = Event(Kind.REFUSAL, datetime.now(UTC), uuid4().hex, client="192.0.2.1", reason=Why.UNKNOWN_NAME.value)


async def test_it_answers_support_and_the_tenants_own_admin_in_plain_words(served: Served) -> None:
    for who in ("support", "acme", "read-only"):
        async with served.client(who) as client:
            told = (await client.get(PLACE)).raise_for_status().json()
        assert told["verdict"].startswith("Nothing stands against a login now.")
        assert [credential["label"] for credential in told["credentials"]] == ["main"]
        assert {"exists", "active", "credentials"} <= {finding["code"] for finding in told["findings"]}


async def test_a_name_that_is_not_there_is_explained_and_no_error(served: Served) -> None:
    await served.recent.take([TYPO._replace(name="adda@acme.example", moment=datetime.now(UTC))])
    async with served.client("acme") as client:
        told = (await client.get("/tenants/acme/maildrops/adda@acme.example/explanation")).raise_for_status().json()
    assert told["verdict"] == "No login can succeed now. There is no maildrop adda@acme.example."
    (attempt,) = told["attempts"]
    assert (attempt["kind"], attempt["reason"], attempt["client"]) == ("refusal", "unknown_name", "192.0.2.1")


async def test_g10_an_attempt_at_another_tenants_name_is_not_told(served: Served) -> None:
    await served.recent.take([TYPO._replace(name="eve@other.example")])
    async with served.client("acme") as client:
        for tenant in ("acme", "other"):
            response = await client.get(f"/tenants/{tenant}/maildrops/eve@other.example/explanation")
            assert response.status_code == 404
            assert "192.0.2.1" not in response.text


async def test_a_client_is_an_address_and_nothing_else(served: Served) -> None:
    async with served.client() as client:
        assert (await client.get(f"{PLACE}?client=2001:db8::1")).status_code == 200
        assert (await client.get(f"{PLACE}?client=ada")).status_code == 422
