"""The issuers that tenants trust, as a login reads them and as staff keep them.

Owns the statements on the table `issuers`. Refuses to show a client's secret to staff, and to judge a token.
RFC 7628 §3.2 (a login), RFC 7662 §2.1 (the secret).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from uuid import uuid4

from service.mail.bearer import Trusted
from service.mail.issuing import Wanted, without_secret
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.issuer import Issuer, IssuerTerms, IssuerView, Method, NewIssuer
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, Row
from service.stores.postgres.tenancy.rows import lock_tenant, record, taken

# One row at least, for a domain that nobody has too: its time is what tokens are judged by.
TRUSTED = """
SELECT now() AS moment, i.tenant_id, i.issuer_id, i.name, i.terms, i.client_secret
FROM (VALUES (1)) AS always
LEFT JOIN (domains d JOIN issuers i ON i.tenant_id = d.tenant_id AND i.status = 'active')
    ON d.name = $1 AND d.status <> 'removed'
ORDER BY i.name
"""
ANY = """
SELECT EXISTS (
    SELECT FROM issuers i JOIN tenants t USING (tenant_id) WHERE i.status = 'active' AND t.status = 'active'
)
"""

TENANT = "SELECT tenant_id FROM tenants WHERE name = $1 AND status <> 'removed'"
OF = "SELECT name, status, created, terms, secret_set FROM issuers WHERE tenant_id = $1 ORDER BY name"
ONE = "SELECT name, status, created, terms, secret_set FROM issuers WHERE tenant_id = $1 AND name = $2"
CREATE = """
INSERT INTO issuers (tenant_id, issuer_id, name, status, terms, client_secret, secret_set)
VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $6 <> '' THEN now() END)
"""
REPLACE = """
UPDATE issuers SET status = $3, terms = $4, client_secret = coalesce($5, client_secret),
       secret_set = CASE WHEN coalesce($5, client_secret) = client_secret THEN secret_set WHEN $5 <> '' THEN now() END
WHERE tenant_id = $1 AND name = $2
  AND (status, terms, client_secret) IS DISTINCT FROM ($3, $4, coalesce($5, client_secret))
RETURNING secret_set
"""
REMOVE = "DELETE FROM issuers WHERE tenant_id = $1 AND name = $2 RETURNING name"


class PostgresIssuers:
    """`mail.bearer.Issuers` and `mail.issuing.TenantIssuers` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trusted(self, domain: str) -> Trusted:
        """The active issuers of the domain's tenant, and Postgres' time."""
        rows = await self._database.read(TRUSTED, domain)
        issuers = [
            Issuer(row["tenant_id"], row["issuer_id"], row["name"], _terms(row["terms"]), row["client_secret"])
            for row in rows
            if row["name"] is not None
        ]
        return Trusted(rows[0]["moment"], issuers)

    async def any(self) -> bool:
        """Whether any active tenant trusts an issuer."""
        return bool((await self._database.read(ANY))[0][0])

    async def of(self, tenant: str) -> Sequence[IssuerView]:
        """The tenant's issuers by name. Raises Refusal(NOT_FOUND)."""
        found = await self._database.read(TENANT, tenant)
        if not found:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        return [_view(tenant, row) for row in await self._database.read(OF, found[0][0])]

    async def create(self, act: Act, issuer: NewIssuer) -> None:
        """Raises Refusal: NOT_FOUND, EXISTS."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            values = (issuer.name, issuer.status.value, _json(issuer.terms), issuer.client_secret or "")
            with taken(f"tenant {act.tenant} has an issuer {issuer.name} already"):
                await connection.execute(CREATE, tenant_id, uuid4(), *values)
            detail = without_secret(issuer, bool(issuer.client_secret))
            await record(connection, tenant_id, act, ("issuer.create", issuer.name), detail)

    async def replace(self, act: Act, issuer: NewIssuer) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await self.change(act, issuer.name, lambda _: issuer)

    async def change(self, act: Act, name: str, wanted: Wanted) -> None:
        """Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            # Whoever changes an issuer holds its tenant: what is read here stands until it is written.
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            before = _there(await connection.fetchrow(ONE, tenant_id, name), act, name)
            issuer = wanted(_view(act.tenant, before))
            values = (issuer.status.value, _json(issuer.terms), issuer.client_secret)
            if (after := await connection.fetchrow(REPLACE, tenant_id, name, *values)) is not None:
                detail = without_secret(issuer, after["secret_set"] != before["secret_set"])
                await record(connection, tenant_id, act, ("issuer.replace", name), detail)

    async def remove(self, act: Act, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            _there(await connection.fetchrow(REMOVE, tenant_id, name), act, name)
            await record(connection, tenant_id, act, ("issuer.remove", name))


def _there(row: Row | None, act: Act, name: str) -> Row:
    if row is None:
        raise Refusal(Reason.NOT_FOUND, f"tenant {act.tenant} has no issuer {name}")
    return row


def _view(tenant: str, row: Row) -> IssuerView:
    status = Status(row["status"])
    return IssuerView(row["name"], tenant, status, row["created"], _terms(row["terms"]), row["secret_set"])


def _json(terms: IssuerTerms) -> str:
    return json.dumps(asdict(terms) | {"method": terms.method.value})


def _terms(column: str) -> IssuerTerms:
    """The terms in a jsonb column; what an older release didn't write has its default."""
    values = json.loads(column)
    lists = {name: tuple(values[name]) for name in ("audiences", "algorithms") if name in values}
    return IssuerTerms(**{**values, **lists, "method": Method(values["method"])})
