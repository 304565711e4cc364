"""What the sweep sees of the index: retention, removed rows and the blobs they name.

Owns the statements that remove expired messages and delete rows for good. Refuses to delete a row that is
not removed, and to touch a blob. RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.mail.ports import Expired
from service.model.account import MaildropKey
from service.stores.postgres.database import Database

# Zero days since a message was received never remove it: RFC 2449 §6.7 has EXPIRE 0 tell of what was downloaded, not of
# mail that nobody has read. Zero days since it was retrieved remove what an earlier policy would have kept longer.
# Whoever is suspended can't fetch mail in time, so that its retention waits for the sweep after the suspension.
# A day is counted as 24 hours, which it isn't everywhere where Postgres' time zone has summer time.
DUE = """
SELECT m.tenant_id, m.maildrop_id, p.received_before, p.retrieved_before
FROM maildrops m
JOIN tenants t USING (tenant_id)
JOIN domains d ON d.tenant_id = m.tenant_id AND d.name = m.domain
CROSS JOIN LATERAL (
    SELECT now() - make_interval(hours => 24 * nullif((v.policy ->> 'expire_days')::integer, 0)) AS received_before,
           now() - make_interval(hours => 24 * (v.policy ->> 'retrieved_days')::integer) AS retrieved_before
    FROM (SELECT t.policy || m.policy AS policy) v
) p
WHERE m.messages > 0 AND 'suspended' NOT IN (m.status, d.status, t.status) AND (
    p.received_before IS NOT NULL AND EXISTS (
        SELECT FROM messages x
        WHERE x.tenant_id = m.tenant_id AND x.maildrop_id = m.maildrop_id
          AND x.removed_at IS NULL AND x.received < p.received_before
    ) OR p.retrieved_before IS NOT NULL AND EXISTS (
        SELECT FROM messages x
        WHERE x.tenant_id = m.tenant_id AND x.maildrop_id = m.maildrop_id
          AND x.removed_at IS NULL AND x.retrieved_at < p.retrieved_before
    )
)
LIMIT $1
"""

EXPIRE = "SELECT expire_messages($1, $2, $3, $4)"
EXPIRE_RETRIEVED = "SELECT expire_retrieved($1, $2, $3, $4)"

# Postgres wrote until when it keeps a message, and its own clock says whether that is over.
FORGETTABLE = """
SELECT tenant_id, maildrop_id, sequence, blob_key, removed_at FROM messages
WHERE removed_at < $1 AND kept_until IS NULL
"""
KEPT_LONG_ENOUGH = """
SELECT tenant_id, maildrop_id, sequence, blob_key, removed_at FROM messages
WHERE kept_until < now()
"""
# Nobody can restore anything into a maildrop that is removed itself, so that its mail is kept like any other.
KEPT_FOR_NOBODY = """
SELECT m.tenant_id, m.maildrop_id, m.sequence, m.blob_key, m.removed_at
FROM maildrops d JOIN messages m USING (tenant_id, maildrop_id)
WHERE d.status = 'removed' AND m.removed_at < $1 AND m.kept_until >= now()
"""
REMOVED = f"""
(SELECT * FROM ({FORGETTABLE}) f ORDER BY removed_at LIMIT $2)
UNION ALL (SELECT * FROM ({KEPT_LONG_ENOUGH}) k LIMIT $2)
UNION ALL (SELECT * FROM ({KEPT_FOR_NOBODY}) n LIMIT $2)
ORDER BY removed_at LIMIT $2
"""  # noqa: S608 - constants alone

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

# A removed tenant's row goes with its last message, and its blobs that no row ever named may come to light later. The
# entry of its removal is among its last: the key's index finds it from there.
KNOWN = """
SELECT k.tenant_id FROM unnest($1::uuid[]) AS k (tenant_id)
WHERE EXISTS (SELECT FROM tenants t WHERE t.tenant_id = k.tenant_id) OR (
    SELECT true FROM audit a WHERE a.tenant_id = k.tenant_id AND a.action = 'tenant.remove'
    ORDER BY a.audit_id DESC LIMIT 1
)
"""

BACKLOG = f"""
SELECT (SELECT count(*) FROM ({FORGETTABLE}) f) + (SELECT count(*) FROM ({KEPT_LONG_ENOUGH}) k)
     + (SELECT count(*) FROM ({KEPT_FOR_NOBODY}) n)
"""  # noqa: S608 - constants alone

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
        """Remove what is past its maildrop's expire_days or retrieved_days, at most `limit`, in short transactions.

        The suspended are left alone.
        """
        removed = 0
        for tenant, maildrop, *moments in await self._database.read(DUE, limit):
            for statement, moment in zip((EXPIRE, EXPIRE_RETRIEVED), moments, strict=True):
                left = limit - removed
                if left > 0 and moment is not None:
                    done = await self._database.write(statement, tenant, maildrop, moment, left, rows=left)
                    removed += done[0][0]
        return removed

    async def removed_before(self, moment: datetime, limit: int) -> Sequence[Expired]:
        """Messages removed before `moment`, oldest first, and those that a policy kept until now."""
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

    async def known(self, tenant_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `tenant_ids` that are tenants here, or that the audit knows as removed."""
        return {row[0] for row in await self._database.read(KNOWN, list(tenant_ids))}

    async def backlog(self, moment: datetime) -> int:
        """How many such messages still have a row."""
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
