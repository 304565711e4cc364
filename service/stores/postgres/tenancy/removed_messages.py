"""Removed messages that can still be restored.

Owns which rows those are, and the copy under a new number. Refuses to touch blobs: a message that the sweep may be
deleting this moment is out of reach, by the caller's window. RFC 1939 §7 (unique-ids).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.mail.tenancy import MARGIN, Act, Page
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import RemovedMessage, parse_removed_name
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.rows import MAILDROP, lock_maildrop, maildrop_key, record

# Postgres' own clock judges both; to a message that a policy keeps the margin is left that `within` has already.
# Both are given in seconds: a day of Postgres' has 25 hours where its time zone ends summer time, the sweep's has 24.
UNTIL = "coalesce(m.kept_until - make_interval(secs => $4), m.removed_at + make_interval(secs => $3))"
# One that was restored already lives on in a row that names the same blob with the same trace. By the trace the two
# differ that a catch-all brought of one mail: they name one blob.
RESTORABLE = f"""
FROM messages m
WHERE m.tenant_id = $1 AND m.maildrop_id = $2 AND m.removed_at IS NOT NULL AND {UNTIL} > now()
  AND NOT EXISTS (
    SELECT FROM messages l
    WHERE l.blob_key = m.blob_key AND l.trace = m.trace
      AND l.tenant_id = $1 AND l.maildrop_id = $2 AND l.removed_at IS NULL
  )
"""

NEWEST = f"""
SELECT unique_id, octets, received, removed_at, {UNTIL} AS restorable_until {RESTORABLE}
ORDER BY removed_at DESC, sequence DESC LIMIT $5
"""

PAGE = f"""
SELECT unique_id, octets, received, removed_at, {UNTIL} AS restorable_until {RESTORABLE}
  AND (m.removed_at, m.unique_id) > ($5::timestamptz, $6::uuid)
ORDER BY m.removed_at, m.unique_id LIMIT $7
"""
FIRST = datetime.min.replace(tzinfo=UTC), UUID(int=0)

# RFC 1939 §7: "The server should never reuse an unique-id in a given maildrop, for as long as the entity using the
# unique-id exists." The copy therefore gets a new one, so that clients that saw the message removed fetch it again;
# and it counts as received now, or its retention would remove it at once.
RESTORE = f"""
WITH wanted AS (
    SELECT DISTINCT ON (m.blob_key, m.trace) m.* {RESTORABLE} AND m.unique_id = ANY ($5)
    ORDER BY m.blob_key, m.trace, m.sequence DESC
), copied AS (
    INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted,
                          sha256, blob_key, trace, beginnings)
    SELECT w.tenant_id, w.maildrop_id, d.next_sequence - 1 + row_number() OVER (ORDER BY w.sequence), w.octets,
           w.header_octets, now(), gen_random_uuid(), w.dotted, w.sha256, w.blob_key, w.trace,
           w.beginnings
    FROM wanted w JOIN maildrops d USING (tenant_id, maildrop_id)
    RETURNING octets
)
UPDATE maildrops d
SET messages = d.messages + c.count, octets = d.octets + c.octets, next_sequence = d.next_sequence + c.count
FROM (SELECT count(*) AS count, coalesce(sum(octets), 0)::bigint AS octets FROM copied) c
WHERE d.tenant_id = $1 AND d.maildrop_id = $2
RETURNING c.count
"""  # noqa: S608 - constants alone


class PostgresRemovedMessages:
    """`mail.tenancy.RemovedMessages` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, tenant: str, address: Address, within: timedelta, limit: int) -> Sequence[RemovedMessage]:
        """The messages removed within this time, last removed first. Raises Refusal(NOT_FOUND)."""
        rows = await self._database.read(MAILDROP, tenant, address.domain, address.local)
        key = maildrop_key(rows[0] if rows else None, address)
        found = await self._database.read(NEWEST, key.tenant_id, key.maildrop_id, *_seconds(within), limit)
        return [RemovedMessage(*row) for row in found]

    async def page(self, tenant: str, address: Address, within: timedelta, page: Page) -> Sequence[RemovedMessage]:
        """The same by name, first removed first. Raises Refusal: NOT_FOUND, INVALID."""
        try:
            after = parse_removed_name(page.after) if page.after else FIRST
        except ValueError:
            raise Refusal(Reason.INVALID, "no removed message has such a name") from None
        rows = await self._database.read(MAILDROP, tenant, address.domain, address.local)
        key = maildrop_key(rows[0] if rows else None, address)
        values = (*_seconds(within), *after, page.limit)
        found = await self._database.read(PAGE, key.tenant_id, key.maildrop_id, *values)
        return [RemovedMessage(*row) for row in found]

    async def restore(self, act: Act, address: Address, unique_ids: Sequence[UUID], within: timedelta) -> int:
        """How many of these are listed again. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            key = await lock_maildrop(connection, act, address)
            values = (key.tenant_id, key.maildrop_id, *_seconds(within), list(unique_ids))
            restored = await connection.fetchval(RESTORE, *values)
            await record(
                connection,
                key.tenant_id,
                act,
                ("maildrop.restore", str(address)),
                {"messages": restored, "unique_ids": [unique_id.hex for unique_id in unique_ids]},
            )
        return int(restored)


def _seconds(within: timedelta) -> tuple[float, float]:
    return within.total_seconds(), MARGIN.total_seconds()
