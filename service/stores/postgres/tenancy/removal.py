"""The removal of maildrops: alone, with their domain, or with their tenant.

Owns what goes at once (credentials, aliases) and what stays for the sweep (the maildrop's row and its messages,
marked removed, so that no blob is left without a row that names it). Refuses to decide whether it may happen.
"""

from uuid import UUID

from service.stores.postgres.large import take_time
from service.stores.postgres.tenancy.rows import Connection

LOCK = """
SELECT maildrop_id FROM maildrops
WHERE tenant_id = $1 AND ($2::text IS NULL OR domain = $2) AND status <> 'removed'
ORDER BY maildrop_id FOR NO KEY UPDATE
"""

COUNT = "SELECT coalesce(sum(messages), 0) FROM maildrops WHERE tenant_id = $1 AND maildrop_id = ANY ($2)"

# All parts see the rows as the locks left them. A session that still lists these messages may go on to retrieve
# them; an UPDATE of its finds them removed, which is what it asked for.
REMOVE = """
WITH marked AS (
    UPDATE messages m SET removed_at = clock_timestamp(), removed_in = d.removals + 1
    FROM maildrops d
    WHERE d.tenant_id = $1 AND d.maildrop_id = ANY ($2) AND m.tenant_id = $1 AND m.maildrop_id = d.maildrop_id
      AND m.removed_at IS NULL
    RETURNING m.sequence
), shut AS (
    UPDATE maildrops SET status = 'removed', messages = 0, octets = 0, removals = removals + 1
    WHERE tenant_id = $1 AND maildrop_id = ANY ($2)
), disarmed AS (
    DELETE FROM credentials WHERE tenant_id = $1 AND maildrop_id = ANY ($2)
), unnamed AS (
    DELETE FROM aliases WHERE tenant_id = $1 AND maildrop_id = ANY ($2)
)
SELECT count(*) FROM marked
"""


async def lock_maildrops(connection: Connection, tenant_id: UUID, domain: str | None) -> list[UUID]:
    """The maildrops of a domain, or of the whole tenant, their rows locked."""
    return [row[0] for row in await connection.fetch(LOCK, tenant_id, domain)]


async def remove_maildrops(connection: Connection, tenant_id: UUID, maildrops: list[UUID]) -> int:
    """Remove these, whose rows are locked; how many messages were removed with them."""
    await take_time(connection, int(await connection.fetchval(COUNT, tenant_id, maildrops)))
    return int(await connection.fetchval(REMOVE, tenant_id, maildrops))
