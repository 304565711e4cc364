"""Maildrops by address.

Owns the statements on the table `maildrops` save its counters, which deliveries and sessions keep.
Refuses to reuse an id: a maildrop created anew under an address shares nothing with a removed one (G7).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from service.mail.tenancy import Act, Page
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import MaildropView, Overrides, PolicyChange
from service.stores.postgres.database import Database, Row
from service.stores.postgres.policies import overrides
from service.stores.postgres.tenancy.removal import remove_maildrops
from service.stores.postgres.tenancy.rows import cursor, lock_domain, lock_maildrop, record, taken

ALIAS = "SELECT EXISTS (SELECT FROM aliases WHERE tenant_id = $1 AND domain = $2 AND local = $3)"
CREATE = "INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, policy) VALUES ($1, $2, $3, $4, $5)"

VIEW = """
SELECT m.maildrop_id, t.name AS tenant, m.local || '@' || m.domain AS address, m.status, m.created,
       m.messages, m.octets, m.policy, t.policy AS inherited
FROM maildrops m JOIN tenants t USING (tenant_id)
WHERE t.name = $1 AND t.status <> 'removed' AND m.status <> 'removed'
"""
FIND = VIEW + " AND m.domain = $2 AND m.local = $3"
PAGE = VIEW + " AND (m.domain, m.local) > ($2, $3) ORDER BY m.domain, m.local LIMIT $4"

LAST_DELIVERY = """
SELECT n.received FROM tenants t JOIN maildrops m USING (tenant_id) CROSS JOIN LATERAL (
    SELECT received FROM messages x WHERE x.tenant_id = m.tenant_id AND x.maildrop_id = m.maildrop_id
    ORDER BY sequence DESC LIMIT 1
) n
WHERE t.name = $1 AND t.status <> 'removed' AND m.domain = $2 AND m.local = $3 AND m.status <> 'removed'
"""

SET_STATUS = "UPDATE maildrops SET status = $3 WHERE tenant_id = $1 AND maildrop_id = $2"
SET_POLICY = "UPDATE maildrops SET policy = (policy || $3) - $4::text[] WHERE tenant_id = $1 AND maildrop_id = $2"


class PostgresMaildrops:
    """`mail.tenancy.Maildrops` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, act: Act, address: Address, policy: Overrides) -> MaildropView:
        """Create the maildrop. Raises Refusal: NOT_FOUND, EXISTS."""
        text = json.dumps(dict(policy))
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, address.domain)
            if await connection.fetchval(ALIAS, tenant_id, address.domain, address.local):
                raise Refusal(Reason.EXISTS, f"{address} is an alias")
            with taken(f"there is a maildrop {address} already"):
                await connection.execute(CREATE, tenant_id, uuid4(), address.domain, address.local, text)
            await record(connection, tenant_id, act, ("maildrop.create", str(address)), {"policy": dict(policy)})
            row = await connection.fetchrow(FIND, act.tenant, address.domain, address.local)
        if row is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {act.tenant}")
        return _view(row)

    async def find(self, tenant: str, address: Address) -> MaildropView | None:
        """The maildrop, or None."""
        rows = await self._database.read(FIND, tenant, address.domain, address.local)
        return _view(rows[0]) if rows else None

    async def last_delivery(self, tenant: str, address: Address) -> datetime | None:
        """When its newest message came; None if there is none."""
        rows = await self._database.read(LAST_DELIVERY, tenant, address.domain, address.local)
        return rows[0][0] if rows else None

    async def page(self, tenant: str, page: Page) -> Sequence[MaildropView]:
        """The tenant's maildrops by domain, then local part."""
        return [_view(row) for row in await self._database.read(PAGE, tenant, *cursor(page.after), page.limit)]

    async def set_status(self, act: Act, address: Address, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            await connection.execute(SET_STATUS, key.tenant_id, key.maildrop_id, status.value)
            detail = {"status": status.value}
            await record(connection, key.tenant_id, act, ("maildrop.status", str(address)), detail)

    async def set_policy(self, act: Act, address: Address, change: PolicyChange) -> None:
        """Change what the maildrop itself sets. Raises Refusal(NOT_FOUND)."""
        values, inherited = json.dumps(dict(change.values)), sorted(change.inherited)
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            await connection.execute(SET_POLICY, key.tenant_id, key.maildrop_id, values, inherited)
            await record(connection, key.tenant_id, act, ("maildrop.policy", str(address)), change.details)

    async def remove(self, act: Act, address: Address) -> int:
        """How many messages were removed with it. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            messages = await remove_maildrops(connection, key.tenant_id, [key.maildrop_id])
            await record(connection, key.tenant_id, act, ("maildrop.remove", str(address)), {"messages": messages})
        return messages


def _view(row: Row) -> MaildropView:
    return MaildropView(
        row["maildrop_id"],
        row["tenant"],
        row["address"],
        Status(row["status"]),
        row["created"],
        row["messages"],
        row["octets"],
        overrides(row["policy"]),
        overrides(row["inherited"]),
    )
