"""Every operation of the document, asked by one tenant's admin about another tenant. G10.

The operations are read from the document, so that a new one is covered by being there; one with a body needs a form in
FORMS. What is asked about another tenant's names must be answered as if those names were nobody's, word for word.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from service.mail.ports import Holder, Lease
from service.model.account import MaildropKey
from tests.admin.house import Served

OTHER, NOBODY = "other", "nomad"
"""A tenant that is there and one that isn't; as long as each other, so that no header may differ either."""
VERBS = ("get", "put", "post", "patch", "delete")

Forms = dict[str, dict[str, Any]]


def forms(name: str) -> Forms:
    """A good body for each operation that takes one, about this tenant's things."""
    ada = f"ada@{name}.example"
    return {
        "put /v1/tenants/{tenant}": {"policy": {"login_delay": 7}},
        "patch /v1/tenants/{tenant}": {"status": "suspended"},
        "put /v1/tenants/{tenant}/directory": {"directory": "crm"},
        "put /v1/tenants/{tenant}/domains/{domain}": {"catch_all": ada},
        "patch /v1/tenants/{tenant}/domains/{domain}": {"catch_all": ada, "status": "suspended"},
        "put /v1/tenants/{tenant}/aliases/{alias}": {"address": ada},
        "put /v1/tenants/{tenant}/maildrops/{address}": {"status": "suspended"},
        "patch /v1/tenants/{tenant}/maildrops/{address}": {"policy": {"quota_messages": 1}},
        "post /v1/tenants/{tenant}/maildrops/{address}/credentials": {"label": "new"},
        "put /v1/tenants/{tenant}/maildrops/{address}/credentials/{label}": {"password": "mine"},
        "patch /v1/tenants/{tenant}/maildrops/{address}/credentials/{label}": {"status": "suspended"},
        "post /v1/tenants/{tenant}/maildrops/{address}/removed-messages/restore": {"unique_ids": ["1" * 32]},
        "put /v1/tenants/{tenant}/issuers/{issuer}": {"url": "https://mine.example", "audiences": ["x"]},
        "patch /v1/tenants/{tenant}/issuers/{issuer}": {"status": "suspended"},
        "post /v1/tokens": {"name": "mine", "scope": "tenant", "tenant": name},
        "post /v1/tokens/{token_id}/rotate": {},
    }


@dataclass(frozen=True)
class Operation:
    verb: str
    path: str
    has_body: bool

    @property
    def name(self) -> str:
        return f"{self.verb} {self.path}"

    async def ask(self, client: httpx.AsyncClient, tenant: str, name: str, query: str = "") -> httpx.Response:
        """Ask about `name`'s things as if they stood in `tenant`."""
        path = self.path.removeprefix("/v1")
        for key, value in names(tenant, name).items():
            path = path.replace(f"{{{key}}}", value)
        assert "{" not in path, f"give a value for each parameter of {self.name}"
        body = {"json": forms(name)[self.name]} if self.has_body else {}
        return await client.request(self.verb, path + query, **body)  # type: ignore[arg-type]


def names(tenant: str, name: str) -> dict[str, str]:
    return {
        "tenant": tenant,
        "domain": f"{name}.example",
        "address": f"ada@{name}.example",
        "alias": f"a@{name}.example",
        "label": "main",
        "issuer": "main",
        "token_id": "0" * 32,
    }


def operations(served: Served) -> Iterator[Operation]:
    for path, verbs in served.app.openapi()["paths"].items():
        for verb, told in verbs.items():
            if verb in VERBS:
                yield Operation(verb, path, "requestBody" in told)


def seen(response: httpx.Response) -> tuple[object, ...]:
    """All that the response shows, with the name that was asked for made the same."""
    headers = sorted((name, value) for name, value in response.headers.items())
    return response.status_code, headers, response.text.replace(OTHER, NOBODY)


async def rows_of(served: Served, tenant: str) -> dict[str, list[str]]:
    """Every row of the tenant in every table, as the owner reads it."""
    connection = await asyncpg.connect(served.owner_dsn)
    try:
        tenant_id = await connection.fetchval("SELECT tenant_id FROM tenants WHERE name = $1", tenant)
        tables = await connection.fetch(
            "SELECT DISTINCT table_name::text FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        )
        found = {}
        for (table,) in tables:
            rows = await connection.fetch(
                await connection.fetchval("SELECT format('SELECT to_jsonb(r)::text FROM %I r', $1::text)", table)
            )
            found[table] = sorted(row[0] for row in rows if json.loads(row[0])["tenant_id"] == str(tenant_id))
        return found
    finally:
        await connection.close()


async def hold(served: Served, tenant: str) -> None:
    """A live session of this tenant's Ada."""
    connection = await asyncpg.connect(served.owner_dsn)
    row = await connection.fetchrow(
        "SELECT m.tenant_id, m.maildrop_id FROM maildrops m JOIN tenants t USING (tenant_id) WHERE t.name = $1", tenant
    )
    await connection.close()
    assert row is not None
    address = f"ada@{tenant}.example"
    since = served.tokens.clock.now()
    lease = Lease(MaildropKey(*row), "t", Holder(f"s-{tenant}", tenant, address, "192.0.2.1", "PLAIN", "p", since))
    assert await served.locks.acquire(lease)


async def test_there_are_operations_and_each_form_has_its_own(served: Served) -> None:
    every = list(operations(served))
    assert len(every) > 30
    assert {each.name for each in every if each.has_body} == set(forms(OTHER))


async def test_a_delegated_admin_can_neither_see_change_nor_detect_another_tenant(served: Served) -> None:
    before = await rows_of(served, OTHER)
    await hold(served, OTHER)
    async with served.client("acme") as client:
        for each in operations(served):
            for tenant, there, absent in ((None, OTHER, NOBODY), ("acme", OTHER, NOBODY)):
                about_other = await each.ask(client, tenant or there, there)
                about_nobody = await each.ask(client, tenant or absent, absent)
                assert seen(about_other) == seen(about_nobody), each.name
                if tenant is None and "{tenant}" in each.path:
                    assert about_other.status_code in (403, 404), each.name
    assert await rows_of(served, OTHER) == before
    assert [holder.tenant for holder in await served.locks.holders()] == [OTHER]


async def test_a_delegated_admin_ends_no_session_in_a_removed_maildrop_of_another_tenant(served: Served) -> None:
    await hold(served, OTHER)
    address = f"ada@{OTHER}.example"
    async with served.client() as full:
        assert (await full.delete(f"/tenants/{OTHER}/domains/{OTHER}.example?cascade=true")).status_code == 204
    async with served.client("acme") as client:
        for tenant in ("acme", OTHER):
            absent = await client.delete(f"/tenants/{tenant}/maildrops/{address.replace(OTHER, NOBODY)}/session")
            there = await client.delete(f"/tenants/{tenant}/maildrops/{address}/session")
            assert there.status_code == 404
            assert there.text.replace(OTHER, NOBODY) == absent.text
    assert [holder.tenant for holder in await served.locks.holders()] == [OTHER]


@pytest.mark.parametrize("query", [f"?address=ada@{OTHER}.example", f"?domain={OTHER}.example", "?limit=500"])
async def test_no_list_of_a_delegated_admins_holds_anything_of_another_tenants(served: Served, query: str) -> None:
    await hold(served, OTHER)
    await hold(served, "acme")
    async with served.client("acme") as client:
        for each in operations(served):
            if each.verb == "get":
                response = await each.ask(client, "acme", "acme", query)
                assert OTHER not in response.text, each.name


async def test_a_delegated_admin_does_everything_within_the_tenant_but_what_is_the_providers(served: Served) -> None:
    """The counterpart: what answers 404 above answers otherwise about one's own."""
    await hold(served, "acme")
    refused = {}
    async with served.client("acme") as client:
        removing_last = sorted(
            operations(served), key=lambda each: (each.verb == "delete", "{address}" in each.path[-9:])
        )
        for each in removing_last:
            response = await each.ask(client, "acme", "acme")
            if response.status_code >= 400:
                refused[each.name] = response.status_code
    assert refused == {
        "get /v1/tokens": 403,
        "get /v1/audit": 403,
        "get /v1/blocks": 403,
        "delete /v1/blocks": 403,
        "post /v1/tokens": 403,
        "post /v1/tokens/{token_id}/rotate": 403,
        "delete /v1/tokens/{token_id}": 403,
        "put /v1/tenants/{tenant}": 403,
        "patch /v1/tenants/{tenant}": 403,
        "delete /v1/tenants/{tenant}": 403,
        "put /v1/tenants/{tenant}/directory": 403,
        "put /v1/tenants/{tenant}/domains/{domain}": 403,
        "delete /v1/tenants/{tenant}/domains/{domain}": 403,
        "put /v1/tenants/{tenant}/issuers/{issuer}": 403,
        "patch /v1/tenants/{tenant}/issuers/{issuer}": 403,
        "delete /v1/tenants/{tenant}/issuers/{issuer}": 403,
    }


@pytest.mark.parametrize(
    ("who", "may"),
    [("read-only", {"get"}), ("support", {"get", "restore", "session", "blocks"})],
    ids=["read-only", "support"],
)
async def test_each_scope_of_the_provider_holds_its_rights_and_no_others(
    served: Served, who: str, may: set[str]
) -> None:
    await hold(served, "acme")
    async with served.client(who) as client:
        for each in operations(served):
            response = await each.ask(client, "acme", "acme")
            allowed = each.verb in may or each.path.rpartition("/")[2] in may
            assert (response.status_code == 403) is not allowed, each.name


async def test_a_tenant_that_took_a_removed_ones_name_has_nothing_of_it(served: Served) -> None:
    async with served.client() as full, served.client("other") as admin:
        assert (await full.delete("/tenants/other?cascade=true")).status_code == 204
        assert (await full.put("/tenants/other", json={})).status_code == 201
        assert (await admin.get("/tenants/other")).status_code == 401
        audit = (await full.get("/tenants/other/audit")).json()["items"]
        assert [entry["action"] for entry in audit] == ["tenant.create"]
