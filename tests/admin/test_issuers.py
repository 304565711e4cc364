"""Issuers through the API: what can be set, what is shown, and what never is. G10, G11, G17.

RFC 9110 §13.1.1 (If-Match); RFC 7518 §3.1 (algorithms), RFC 7662 §2.1 (the secret).
"""

import pytest

from service.admin.issuers import Algorithm
from service.model.issuer import ALGORITHMS
from tests.admin.house import Served
from tests.admin.test_resources import good, problem

PLACE = "/tenants/acme/issuers/corp"
FORM = {"url": "https://id.example/corp", "audiences": ["poplar"], "client_id": "poplar", "client_secret": "hunter2"}


async def test_an_issuer_is_shown_as_it_was_put_with_its_defaults_and_without_its_secret(served: Served) -> None:
    async with served.client() as client:
        shown = good(await client.put(PLACE, json=FORM), 201)
        assert shown["secret_set"] is not None
        assert {name: value for name, value in shown.items() if name not in ("created", "secret_set")} == {
            "name": "corp",
            "tenant": "acme",
            "status": "active",
            "url": FORM["url"],
            "audiences": ["poplar"],
            "method": "jwks",
            "algorithms": ["RS256", "ES256"],
            "mail_claim": "email",
            "verified_mail": True,
            "scope": "",
            "jwks_uri": "",
            "introspection_endpoint": "",
            "client_id": "poplar",
        }
        listed = good(await client.get("/tenants/acme/issuers"))["items"]
        assert [each["name"] for each in listed] == ["corp", "main"]
        told = [await client.get(path) for path in (PLACE, "/tenants/acme/issuers", "/tenants/acme/audit")]
        assert not any("hunter2" in response.text for response in told)


async def test_a_patch_changes_what_it_names_and_keeps_the_secret(served: Served) -> None:
    async with served.client() as client:
        before = good(await client.put(PLACE, json=FORM), 201)
        changed = good(await client.patch(PLACE, json={"scope": "mail", "status": "suspended"}))
        assert changed == before | {"scope": "mail", "status": "suspended"}
        assert good(await client.patch(PLACE, json={"client_secret": ""}))["secret_set"] is None


async def test_a_put_leaves_nothing_of_what_was_there(served: Served) -> None:
    async with served.client() as client:
        good(await client.put(PLACE, json=FORM | {"scope": "mail"}), 201)
        shown = good(await client.put(PLACE, json={"url": FORM["url"], "audiences": ["x"]}))
        assert (shown["scope"], shown["client_id"], shown["secret_set"]) == ("", "", None)


async def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(served: Served) -> None:
    async with served.client() as client:
        tag = (await client.put(PLACE, json=FORM)).headers["ETag"]
        good(await client.patch(PLACE, json={"client_secret": "another"}))
        for method in ("PUT", "PATCH", "DELETE"):
            body = {"json": FORM if method == "PUT" else {}} if method != "DELETE" else {}
            response = await client.request(method, PLACE, headers={"If-Match": tag}, **body)  # type: ignore[arg-type]
            assert response.status_code == 412
        good(await client.delete(PLACE), 204)
        problem(await client.get(PLACE), 404)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://id.example"}, "url begins with https://"),
        ({"jwks_uri": "http://169.254.169.254/latest"}, "jwks_uri begins with https://"),
        ({"method": "introspection", "client_id": ""}, "introspection needs a client_id"),
        ({"audiences": ["two words"]}, "audiences"),
    ],
)
async def test_terms_that_could_not_be_safe_are_refused_in_words(
    served: Served, change: dict[str, object], words: str
) -> None:
    async with served.client() as client:
        assert words in problem(await client.put(PLACE, json=FORM | change), 422)
        good(await client.put(PLACE, json=FORM), 201)
        assert words in problem(await client.patch(PLACE, json=change), 422)


@pytest.mark.parametrize("change", [{"algorithms": ["none"]}, {"algorithms": ["HS256"]}, {"audiences": []}, {"x": 1}])
async def test_a_form_that_is_none_is_refused(served: Served, change: dict[str, object]) -> None:
    async with served.client() as client:
        problem(await client.put(PLACE, json=FORM | change), 422)


async def test_a_tenant_s_own_admin_sees_issuers_and_changes_none(served: Served) -> None:
    async with served.client("acme") as admin:
        shown = good(await admin.get("/tenants/acme/issuers/main"))
        assert shown["secret_set"] is not None
        assert "ink" not in str(shown)
        problem(await admin.put(PLACE, json=FORM), 403)
        problem(await admin.delete("/tenants/acme/issuers/main"), 403)


def test_the_document_names_every_algorithm() -> None:
    assert Algorithm.__args__ == ALGORITHMS  # type: ignore[attr-defined]
