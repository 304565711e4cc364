"""The rows that say which messages a maildrop has, and the fence that says which session may remove them.

Owns the frozen listing: it is selected by the counters a session read with its fence, so that it holds the
same messages whenever it is loaded. Refuses to know blobs' contents and POP3's numbers beyond their order.
RFC 1939 §4 (numbers and the exclusive lock), §6 (the UPDATE state), §7 (UIDL).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service.model.account import MaildropKey, Recipient
from service.model.aftermath import NO_AFTERMATH, Aftermath
from service.model.listing import DropListing, Listing
from service.model.message import Blob, NewMessage, StoredMessage
from service.model.refusal import Reason, Refusal
from service.model.shown import EVERYTHING, Shown
from service.model.trail import NO_TRAIL, Trail
from service.stores.postgres.database import Database, Row
from service.stores.postgres.errors import temporary
from service.stores.postgres.listing import LISTING, LISTING_SINCE, PAGE, Pages
from service.stores.postgres.numbers import array_text

OPEN = "SELECT messages, octets, upto, removals FROM open_maildrop($1, $2, $3)"

OPEN_SINCE = "SELECT messages, octets, upto, removals, since, first FROM open_maildrop_since($1, $2, $3, $4, $5)"

NEWEST = """
SELECT f.fence FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS e (tenant_id, maildrop_id, fence)
JOIN fences f USING (tenant_id, maildrop_id, fence)
"""

LOCATE = """
SELECT sequence, unique_id, octets, header_octets, dotted, sha256, blob_key, trace, beginnings
FROM messages WHERE tenant_id = $1 AND maildrop_id = $2 AND sequence = ANY ($3::bigint[])
"""

REMOVE = "SELECT remove_messages($1, $2, $3, $4::text::bigint[], $5, $6, $7, $8)"

LEAVE = "SELECT leave_maildrop($1, $2, $3, $4::text::bigint[], $5::text::bigint[], $6, $7, $8, $9, $10)"

APPEND = "SELECT append_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"

KNOWN = """
SELECT unique_id FROM messages WHERE tenant_id = $1 AND maildrop_id = $2 AND unique_id = ANY ($3::uuid[])
"""

TAKEN = """
SELECT coalesce(imported_unique_id, replace(unique_id::text, '-', '')) FROM messages
WHERE tenant_id = $1 AND maildrop_id = $2
"""


class PostgresMessageIndex:
    """`ports.MessageIndex` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, key: MaildropKey, fence: bytes, shown: Shown = EVERYTHING) -> DropListing:
        """Write the newest session's fence (16 octets), then read the counters, in one round trip.

        Where not everything is shown, the messages that are get counted instead, in the same round trip.

        Raises Refusal: CREDENTIALS when the maildrop was removed since it was looked up.
        """
        values: tuple[object, ...] = (key.tenant_id, key.maildrop_id, UUID(bytes=fence))
        if shown == EVERYTHING:
            rows = await self._database.read(OPEN, *values)
        else:
            rows = await self._database.read(OPEN_SINCE, *values, shown.since, shown.days)
        if not rows:
            raise Refusal(Reason.CREDENTIALS, f"maildrop {key.maildrop_id} was removed during the login")
        return DropListing(*rows[0])

    async def newest(self, fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        """Those of these fences that are still their maildrop's newest, in one round trip."""
        tenants, maildrops = [key.tenant_id for key, _ in fences], [key.maildrop_id for key, _ in fences]
        rows = await self._database.read(NEWEST, tenants, maildrops, [UUID(bytes=fence) for _, fence in fences])
        return {row[0].bytes for row in rows}

    async def listing(self, key: MaildropKey, drop: DropListing) -> Listing:
        """The messages that `drop` counted. Raises Refusal(BROKEN) when they aren't those counted (G14)."""
        pages = Pages()
        last, full = drop.first - 1 if drop.since else 0, True
        # What was counted is there whenever it is asked for, so that pages that are read apart belong together.
        while full:
            row = await self._page(key, drop, last)
            full = row["messages"] == PAGE
            last = await pages.add(row) if row["messages"] else last
        if (pages.messages, pages.octets) != (drop.messages, drop.octets):
            raise Refusal(
                Reason.BROKEN,
                f"maildrop {key.maildrop_id} counts {drop.messages} messages of {drop.octets} octets"
                f" and lists {pages.messages} of {pages.octets}",
            )
        return await pages.listing()

    async def _page(self, key: MaildropKey, drop: DropListing, after: int) -> Row:
        """The messages behind this sequence number, as many as fit on a page."""
        values = (key.tenant_id, key.maildrop_id, drop.upto, drop.removals, after, PAGE)
        if drop.since is None:
            rows = await self._database.read(LISTING, *values)
        else:
            rows = await self._database.read(LISTING_SINCE, *values, drop.since)
        return rows[0]

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """Where these messages are stored, also those removed since the listing was frozen."""
        rows = await self._database.read(LOCATE, key.tenant_id, key.maildrop_id, list(sequences))
        return {row["sequence"]: stored(row) for row in rows}

    async def remove(
        self,
        key: MaildropKey,
        fence: bytes,
        sequences: Sequence[int],
        trail: Trail = NO_TRAIL,
        aftermath: Aftermath = NO_AFTERMATH,
    ) -> None:
        """Remove exactly these messages, all or none, if `fence` is still the newest; audited in the same transaction.

        Raises Refusal: LOST or UNAVAILABLE (none removed), UNKNOWN_OUTCOME (all or none).
        """
        retrieved, days = aftermath.retrieved, aftermath.undo_days
        count = len(sequences) + len(retrieved)
        if not count:
            return
        more = (await array_text(retrieved), days) if retrieved or days is not None else ()
        values = (key.tenant_id, key.maildrop_id, UUID(bytes=fence), await array_text(sequences), *more)
        by = (trail.session_id, trail.client, trail.mechanism, trail.credential)
        rows = await self._database.write(LEAVE if more else REMOVE, *values, *by, rows=count)
        if not rows[0][0]:
            raise Refusal(Reason.LOST, f"a newer session holds maildrop {key.maildrop_id}")

    async def append(self, arrivals: Sequence[tuple[Recipient, NewMessage]]) -> Sequence[Refusal | None]:
        """Append each message to its maildrop in one transaction; an outcome a recipient, in order.

        Raises Refusal(UNAVAILABLE) when none is known to be stored; all or none may be.
        """
        if not arrivals:
            return []
        try:
            rows = await self._database.write(APPEND, *columns(arrivals), rows=len(arrivals))
        except Refusal as refusal:
            raise temporary(refusal) from refusal.__cause__
        return [outcome(text, recipient) for text, (recipient, _) in zip(rows[0][0], arrivals, strict=True)]

    async def known(self, key: MaildropKey, unique_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `unique_ids` that a message of this maildrop has, removed ones included."""
        rows = await self._database.read(KNOWN, key.tenant_id, key.maildrop_id, list(unique_ids))
        return {row[0] for row in rows}

    async def taken(self, key: MaildropKey) -> set[str]:
        """What UIDL tells of each message of this maildrop, or would of the removed ones."""
        rows = await self._database.read(TAKEN, key.tenant_id, key.maildrop_id)
        return {row[0] for row in rows}


def stored(row: Row) -> StoredMessage:
    """The message of a row with the columns of LOCATE."""
    blob_octets = row["octets"] - len(row["trace"])
    proof = (row["sha256"], row["beginnings"])
    blob = Blob(row["blob_key"], blob_octets, row["header_octets"], row["dotted"], *proof)
    return StoredMessage(row["sequence"], row["unique_id"], blob, row["trace"])


def columns(arrivals: Sequence[tuple[Recipient, NewMessage]]) -> list[list[object]]:
    """What APPEND takes: an array for each of its arguments."""
    rows = [
        (
            recipient.key.tenant_id,
            recipient.key.maildrop_id,
            message.unique_id,
            message.imported_unique_id,
            message.octets,
            message.blob.header_octets,
            message.blob.dotted,
            message.blob.key,
            message.blob.sha256,
            message.trace,
            message.received,
            message.blob.beginnings,
        )
        for recipient, message in arrivals
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def outcome(text: str, recipient: Recipient) -> Refusal | None:
    """What the function's word for it means."""
    return None if text == "stored" else Refusal(Reason(text), f"maildrop {recipient.key.maildrop_id}")
