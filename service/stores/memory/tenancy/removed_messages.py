"""The in-memory twin of the removed messages.

Owns the same answers as `stores.postgres.tenancy.removed_messages`. RFC 1939 §7 (unique-ids).
Refuses to touch blobs.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from service.mail.tenancy import MARGIN, Act, Page
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import RemovedMessage, parse_removed_name
from service.stores.memory.state import MaildropRow, MemoryState, MessageRow
from service.stores.memory.tenancy.rows import maildrop_row, record


class MemoryRemovedMessages:
    """Implements `mail.tenancy.RemovedMessages`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def newest(self, tenant: str, address: Address, within: timedelta, limit: int) -> Sequence[RemovedMessage]:
        """The messages removed within this time, last removed first. Raises Refusal(NOT_FOUND)."""
        maildrop = maildrop_row(self._state, tenant, address)
        found = [
            (removed_at, row.sequence, RemovedMessage(m.unique_id, m.octets, m.received, removed_at, until))
            for removed_at, until, row in self._restorable(maildrop, within)
            for m in [row.message]
        ]
        return [view for _, _, view in sorted(found, key=lambda each: each[:2], reverse=True)][:limit]

    async def page(self, tenant: str, address: Address, within: timedelta, page: Page) -> Sequence[RemovedMessage]:
        """The same by name, first removed first. Raises Refusal: NOT_FOUND, INVALID."""
        try:
            after = page.after and parse_removed_name(page.after)
        except ValueError:
            raise Refusal(Reason.INVALID, "no removed message has such a name") from None
        every = await self.newest(tenant, address, within, limit=len(self._state.rows()))
        following = [each for each in every if not after or (each.removed_at, each.unique_id) > after]
        return sorted(following, key=lambda each: each.name)[: page.limit]

    async def restore(self, act: Act, address: Address, unique_ids: Sequence[UUID], within: timedelta) -> int:
        """How many of these are listed again. Raises Refusal(NOT_FOUND)."""
        maildrop = maildrop_row(self._state, act.tenant, address)
        rows = [row for _, _, row in self._restorable(maildrop, within) if row.message.unique_id in unique_ids]
        newest = {_content(row): row for row in sorted(rows, key=lambda row: row.sequence)}
        for row in sorted(newest.values(), key=lambda row: row.sequence):
            self._copy(maildrop, row)
        detail = {"messages": len(newest), "unique_ids": [unique_id.hex for unique_id in unique_ids]}
        tenant = self._state.tenants[maildrop.key.tenant_id]
        record(self._state, tenant, act, ("maildrop.restore", str(address)), detail)
        return len(newest)

    def _restorable(self, maildrop: MaildropRow, within: timedelta) -> list[tuple[datetime, datetime, MessageRow]]:
        """When each was removed, and until when it can be restored."""
        rows = list(self._state.messages.get(maildrop.key, {}).values())
        listed = {_content(row) for row in rows if row.removed_at is None}
        removed = [(row.removed_at, row) for row in rows if row.removed_at and _content(row) not in listed]
        timed = [
            (moment, row.kept_until - MARGIN if row.kept_until else moment + within, row) for moment, row in removed
        ]
        return [each for each in timed if each[1] > datetime.now(UTC)]

    def _copy(self, maildrop: MaildropRow, row: MessageRow) -> None:
        # RFC 1939 §7: "The server should never reuse an unique-id in a given maildrop, for as long as the entity
        # using the unique-id exists."
        message = replace(row.message, unique_id=uuid4(), received=datetime.now(UTC), imported_unique_id=None)
        copy = MessageRow(maildrop.key, maildrop.next_sequence, message)
        self._state.messages[maildrop.key][copy.sequence] = copy
        maildrop.next_sequence += 1
        maildrop.messages += 1
        maildrop.octets += message.octets


def _content(row: MessageRow) -> tuple[str, bytes]:
    """What it has in common with what was restored of it alone: by the trace, twins that a catch-all brought differ."""
    return row.message.blob.key, row.message.trace
