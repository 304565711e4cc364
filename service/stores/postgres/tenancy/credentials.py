"""Credentials of maildrops, by label.

Owns the statements on the table `credentials`. Refuses to read a verifier back, and to write one into the audit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from service.mail.changing import changed
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import CredentialView, NewCredential
from service.stores.postgres.database import Database, Row
from service.stores.postgres.policies import overrides
from service.stores.postgres.tenancy.rows import MAILDROP, lock_maildrop, maildrop_key, record, taken

CREATE = """
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, kind, verifier, label, expires, scram, policy)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING created
"""

OF = """
SELECT credential_id, label, kind, status, created, expires, last_used, policy FROM credentials
WHERE tenant_id = $1 AND maildrop_id = $2 ORDER BY label
"""

REPLACE = """
UPDATE credentials SET credential_id = $4, kind = $5, verifier = $6, expires = $7, scram = $8, policy = '{}'
WHERE tenant_id = $1 AND maildrop_id = $2 AND label = $3 RETURNING label
"""
SET_STATUS = """
UPDATE credentials SET status = $4 WHERE tenant_id = $1 AND maildrop_id = $2 AND label = $3 RETURNING label
"""
REMOVE = "DELETE FROM credentials WHERE tenant_id = $1 AND maildrop_id = $2 AND label = $3 RETURNING label"


class PostgresCredentials:
    """`mail.tenancy.Credentials` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, act: Act, address: Address, credential: NewCredential) -> CredentialView:
        """Add the credential. Raises Refusal: NOT_FOUND, EXISTS."""
        c, credential_id = credential, credential.credential_id or uuid4()
        values = (c.kind, c.verifier, c.label, c.expires, c.scram, json.dumps(dict(c.policy)))
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            names = (key.tenant_id, key.maildrop_id, credential_id)
            with taken(f"{address} has a credential labelled {c.label} already"):
                created = await connection.fetchval(CREATE, *names, *values)
            detail = {"label": c.label, **_told(c), "policy": dict(c.policy)}
            await record(connection, key.tenant_id, act, ("credential.create", str(address)), detail)
        return CredentialView(credential_id, c.label, c.kind, Status.ACTIVE, created, c.expires, policy=c.policy)

    async def of(self, tenant: str, address: Address) -> Sequence[CredentialView]:
        """All credentials of the maildrop by label. Raises Refusal(NOT_FOUND)."""
        rows = await self._database.read(MAILDROP, tenant, address.domain, address.local)
        key = maildrop_key(rows[0] if rows else None, address)
        found = await self._database.read(OF, key.tenant_id, key.maildrop_id)
        return [_view(row) for row in found]

    async def replace(self, act: Act, address: Address, credential: NewCredential) -> None:
        """Put another credential under the same label. Raises Refusal(NOT_FOUND)."""
        c = credential
        await self._change(act, address, c.label, _Change("replace", REPLACE, _replacing(c), _told(c)))

    async def change(self, act: Act, address: Address, credential: NewCredential, *, suspended: bool = False) -> None:
        """Put another verifier under the same label, as `changed`. Raises Refusal: NOT_FOUND, INVALID."""
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            rows = await connection.fetch(OF, key.tenant_id, key.maildrop_id)
            now = await connection.fetchval("SELECT now()")
            c = changed([_view(row) for row in rows], address, credential, now, suspended=suspended)
            await connection.execute(REPLACE, key.tenant_id, key.maildrop_id, c.label, *_replacing(c))
            what = ("credential.replace", str(address))
            await record(connection, key.tenant_id, act, what, {"label": c.label, **_told(c)})

    async def set_status(self, act: Act, address: Address, label: str, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        change = _Change("status", SET_STATUS, (status.value,), {"status": status.value})
        await self._change(act, address, label, change)

    async def remove(self, act: Act, address: Address, label: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await self._change(act, address, label, _Change("remove", REMOVE, (), {}))

    async def _change(self, act: Act, address: Address, label: str, change: "_Change") -> None:
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            names = (key.tenant_id, key.maildrop_id, label)
            if await connection.fetchval(change.statement, *names, *change.values) is None:
                raise Refusal(Reason.NOT_FOUND, f"{address} has no credential labelled {label}")
            what = (f"credential.{change.verb}", str(address))
            await record(connection, key.tenant_id, act, what, {"label": label, **change.detail})


@dataclass(frozen=True, slots=True)
class _Change:
    """What is done to one credential, and how the audit tells of it."""

    verb: str
    statement: str
    values: tuple[object, ...]
    detail: Mapping[str, object]


def _view(row: Row) -> CredentialView:
    credential_id, label, kind, status, created, expires, last_used, policy = row
    return CredentialView(credential_id, label, kind, Status(status), created, expires, last_used, overrides(policy))


def _replacing(credential: NewCredential) -> tuple[object, ...]:
    c = credential
    # Another id: what is under way for the old password finds nothing, and whoever read the old one can tell.
    return c.credential_id or uuid4(), c.kind, c.verifier, c.expires, c.scram


def _told(credential: NewCredential) -> dict[str, object]:
    """What the audit tells of a credential: never its verifier."""
    return {"kind": credential.kind, "expires": credential.expires and credential.expires.isoformat()}
