"""Who gets in, and what is left in the logs. G17.

RFC 6750 §2.1 (the Authorization header), §3 and §3.1 (WWW-Authenticate and its errors), §5.2 and §5.3 (tokens that end,
are bound to a scope, and can be taken back).
"""

import asyncio
import io
import logging
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from service.model.token import Scope
from service.telemetry.logs import configure
from tests.admin.house import Served
from tests.admin.test_resources import good, problem

INVALID = 'Bearer realm="poplar", error="invalid_token"'


async def asked(served: Served, authorization: str | None) -> httpx.Response:
    async with served.client(None) as client:
        headers = {} if authorization is None else {"Authorization": authorization}
        return await client.get("/tenants", headers=headers)


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="poplar"'),
        ("Basic dXNlcjpwYXNz", 'Bearer realm="poplar"'),
        ("Bearer", 'Bearer realm="poplar"'),
        ("Bearer nonsense", INVALID),
        ("Bearer poplar_" + "A" * 86, INVALID),
    ],
    ids=["missing", "another scheme", "empty", "no token", "unknown"],
)
async def test_nobody_gets_in_without_a_token(empty: Served, authorization: str | None, challenge: str) -> None:
    response = await asked(empty, authorization)
    problem(response, 401)
    assert response.headers["WWW-Authenticate"] == challenge


async def test_every_path_but_the_documents_asks_for_a_token_first(empty: Served) -> None:
    async with empty.client(None) as client:
        for path in ("/tenants", "/nothing", "/../x", "/tokens"):
            problem(await client.put(path, content=b"{"), 401)
        assert good(await client.get("/openapi.json"))["openapi"].startswith("3.1")


async def test_the_schemes_name_is_written_in_any_case(empty: Served) -> None:
    assert (await asked(empty, f"bEARER {empty.texts['full']}")).status_code == 200


async def test_an_expired_a_revoked_and_a_rotated_token_are_answered_alike(empty: Served) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    expired = await empty.tokens.issue("tester", "expired", Scope.FULL, None, soon)
    revoked = await empty.tokens.issue("tester", "revoked", Scope.FULL)
    rotated = await empty.tokens.issue("tester", "rotated", Scope.FULL)
    connection = await asyncpg.connect(empty.owner_dsn)
    await connection.execute("UPDATE tokens SET expires = now() WHERE name = 'expired'")
    await connection.close()
    await empty.tokens.tokens.revoke("tester", revoked.view.key)
    await empty.tokens.rotate("tester", rotated.view)
    unknown = await asked(empty, "Bearer poplar_" + "A" * 86)
    for issued in (expired, revoked, rotated):
        response = await asked(empty, f"Bearer {issued.text}")
        assert (response.status_code, response.text) == (401, unknown.text)
        assert response.headers["WWW-Authenticate"] == INVALID


async def test_a_token_that_lacks_the_right_is_told_so(empty: Served) -> None:
    async with empty.client("read-only") as client:
        response = await client.put("/tenants/acme", json={})
    problem(response, 403)
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


async def test_the_life_of_a_token_through_the_api(served: Served) -> None:
    async with served.client() as client:
        form = {"name": "acme-2", "scope": "tenant", "tenant": "acme"}
        made = good(await client.post("/tokens", json=form), 201)
        assert (await asked(served, f"Bearer {made['token']}")).status_code == 200
        listed = {each["name"]: each for each in good(await client.get("/tokens"))["items"]}
        assert listed["acme-2"]["last_used"] is not None
        assert "token" not in listed["acme-2"]
        turned = good(await client.post(f"/tokens/{made['id']}/rotate", json={}))
        assert (await asked(served, f"Bearer {made['token']}")).status_code == 401
        assert (await asked(served, f"Bearer {turned['token']}")).status_code == 200
        good(await client.delete(f"/tokens/{made['id']}"), 204)
        assert (await asked(served, f"Bearer {turned['token']}")).status_code == 401
        problem(await client.delete(f"/tokens/{made['id']}"), 404)
        problem(await client.delete("/tokens/nonsense"), 404)
        problem(await client.post("/tokens", json={"name": "x", "scope": "tenant"}), 422)


async def test_what_can_not_be_stored_is_refused_without_a_vendors_word(served: Served) -> None:
    far, form = "9999-12-31T23:59:59-14:00", {"name": "far", "scope": "full"}
    async with served.client() as client:
        made = (await client.post("/tokens", json=form)).json()
        for path, wrong in (
            ("/tokens", form | {"name": "further", "expires": far}),
            ("/tokens", form | {"name": "other", "scope": "tenant", "tenant": "a\0b"}),
            (f"/tokens/{made['id']}/rotate", {"expires": far}),
        ):
            refused = await client.post(path, json=wrong)
            assert (refused.status_code, refused.json()["detail"]) == (422, "a value can't be stored")


async def test_tokens_are_listed_page_by_page(served: Served) -> None:
    found: list[str] = []
    async with served.client() as client:
        page = good(await client.get("/tokens?limit=2"))
        found += [item["id"] for item in page["items"]]
        while page["next"] is not None:
            page = good(await client.get(f"/tokens?limit=2&after={page['next']}"))
            found += [item["id"] for item in page["items"]]
    assert len(found) == len(set(found)) == 5


async def test_no_secret_reaches_the_log(served: Served) -> None:
    before = logging.getLogger().handlers[:]
    log = io.StringIO()
    configure("json", level="debug", stream=log)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        async with served.client() as client:
            path = "/tenants/acme/maildrops/ada@acme.example/credentials/main"
            good(await client.put(path, json={"password": "a very secret word"}))
            problem(await client.put(path, json={"password": "a very secret word", "oops": 1}), 422)
            await served.database.close()
            problem(await client.put(path, json={"password": "a very secret word"}), 503)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(logging.WARNING)
    told = log.getvalue()
    assert "unavailable" in told
    assert "a very secret word" not in told
    assert not any(text in told or text.removeprefix("poplar_")[44:] in told for text in served.texts.values())


async def test_forty_requests_at_once_with_one_token_all_pass(served: Served) -> None:
    async with served.client("acme") as client:
        answers = await asyncio.gather(*(client.get("/tenants/acme") for _ in range(40)))
    assert {response.status_code for response in answers} == {200}


async def test_no_other_origin_is_let_in(served: Served) -> None:
    """A page of another origin gets no word that its browser would let it read, nor leave to ask at all."""
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    for who in ("full", None):
        async with served.client(who) as client:
            for method in ("OPTIONS", "GET", "DELETE"):
                response = await client.request(method, "/tenants/acme/domains/none.example", headers=asked)
                assert not [name for name in response.headers if name.startswith("access-control-")]
                assert "set-cookie" not in response.headers
