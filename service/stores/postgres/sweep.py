"""What the sweep sees of the index: retention, removed rows and the blobs they name.

Owns the statements that remove expired messages and delete rows for good. Refuses to delete a row that is
not removed, and to touch a blob. RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import Sequence
from datetime import datetime

from service.mail.ports import Expired
from service.model.account import MaildropKey
from service.stores.postgres.database import Database

# RFC 2449 §6.7 gives EXPIRE 0 a meaning of its own: clients may not leave on the server what they downloaded. It says
# nothing of mail that nobody has read, so zero days never removes a message here.
DUE = """
SELECT m.tenant_id, m.maildrop_id, p.before
FROM maildrops m
JOIN tenants t USING (tenant_id)
CROSS JOIN LATERAL (
    SELECT now() - make_interval(days => nullif(((t.policy || m.policy) ->> 'expire_days')::integer, 0)) AS before
) p
WHERE p.before IS NOT NULL AND m.messages > 0 AND EXISTS (
    SELECT FROM messages x
    WHERE x.tenant_id = m.tenant_id AND x.maildrop_id = m.maildrop_id
      AND x.removed_at IS NULL AND x.received < p.before
)
LIMIT $1
"""

EXPIRE = "SELECT expire_messages($1, $2, $3, $4)"

REMOVED = """
SELECT tenant_id, maildrop_id, sequence, blob_key FROM messages WHERE removed_at < $1 ORDER BY removed_at LIMIT $2
"""

# Another tenant's row would count too: a blob is only let go when no row at all names it.
RELEASED = """
WITH expired AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[])
        AS e (tenant_id, maildrop_id, sequence, blob_key)
)
SELECT DISTINCT e.blob_key FROM expired e
WHERE NOT EXISTS (
    SELECT FROM messages m
    WHERE m.blob_key = e.blob_key AND NOT EXISTS (
        SELECT FROM expired o
        WHERE o.tenant_id = m.tenant_id AND o.maildrop_id = m.maildrop_id AND o.sequence = m.sequence
    )
)
"""

FORGET = "SELECT forget_messages($1, $2, $3)"

NAMED = """
SELECT k.blob_key FROM unnest($1::text[]) AS k (blob_key)
WHERE EXISTS (SELECT FROM messages m WHERE m.blob_key = k.blob_key)
"""

BACKLOG = "SELECT count(*) FROM messages WHERE removed_at < $1"

FORGET_AUDIT = """
WITH oldest AS (SELECT tenant_id, audit_id FROM audit WHERE moment < $1 ORDER BY moment LIMIT $2), gone AS (
    DELETE FROM audit a USING oldest o WHERE a.tenant_id = o.tenant_id AND a.audit_id = o.audit_id RETURNING 1
)
SELECT count(*) FROM gone
"""


class PostgresSweepable:
    """`ports.Sweepable` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(self, limit: int) -> int:
        """Remove messages older than their maildrop's expire_days, at most `limit`; one short transaction each."""
        removed = 0
        for row in await self._database.read(DUE, limit):
            if removed >= limit:
                break
            done = await self._database.write(EXPIRE, row[0], row[1], row[2], limit - removed, rows=limit - removed)
            removed += done[0][0]
        return removed

    async def removed_before(self, moment: datetime, limit: int) -> Sequence[Expired]:
        """Messages removed before `moment`, oldest first."""
        rows = await self._database.read(REMOVED, moment, limit)
        return [Expired(MaildropKey(row[0], row[1]), row[2], row[3]) for row in rows]

    async def release_blobs(self, expired: Sequence[Expired]) -> Sequence[str]:
        """The blob keys among `expired` that no row outside `expired` names."""
        rows = await self._database.read(RELEASED, *_columns(expired), [e.blob_key for e in expired])
        return [row[0] for row in rows]

    async def forget(self, expired: Sequence[Expired]) -> None:
        """Delete these rows for good, as far as they are removed, and the removed maildrops they emptied."""
        await self._database.write(FORGET, *_columns(expired), rows=len(expired))

    async def named(self, blob_keys: Sequence[str]) -> set[str]:
        """Those of `blob_keys` that some row names."""
        return {row[0] for row in await self._database.read(NAMED, list(blob_keys))}

    async def backlog(self, moment: datetime) -> int:
        """How many messages were removed before `moment` and still have a row."""
        rows = await self._database.read(BACKLOG, moment)
        return int(rows[0][0])

    async def forget_audit(self, moment: datetime, limit: int) -> int:
        """Delete what the audit kept before `moment`, at most `limit` entries; how many were."""
        rows = await self._database.write(FORGET_AUDIT, moment, limit, rows=limit)
        return int(rows[0][0])


def _columns(expired: Sequence[Expired]) -> tuple[list[object], list[object], list[object]]:
    return (
        [e.key.tenant_id for e in expired],
        [e.key.maildrop_id for e in expired],
        [e.sequence for e in expired],
    )
