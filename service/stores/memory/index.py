"""The in-memory twin of the message index.

Owns the same frozen listings, fences and quotas as `stores.postgres.index`, over `MemoryState`. Refuses to
await anything, so that each method is one transaction. RFC 1939 §4 (numbers and the exclusive lock), §7 (UIDL).
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from service.model.account import MaildropKey, Recipient
from service.model.aftermath import NO_AFTERMATH, Aftermath
from service.model.imported import Imported
from service.model.listing import DropListing, Listing
from service.model.message import NewMessage, StoredMessage
from service.model.refusal import Reason, Refusal
from service.model.shown import EVERYTHING, Shown
from service.model.tenancy import AuditEntry
from service.model.trail import NO_TRAIL, Trail
from service.stores.memory.state import REMOVED, MaildropRow, MemoryState, MessageRow


class MemoryMessageIndex:
    """Implements `mail.ports.MessageIndex`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def open(self, key: MaildropKey, fence: bytes, shown: Shown = EVERYTHING) -> DropListing:
        """Write the newest session's fence and read the counters, or count what is shown."""
        row = self._state.maildrops.get(key)
        if row is None or row.status == REMOVED:
            raise Refusal(Reason.CREDENTIALS, f"maildrop {key.maildrop_id} was removed during the login")
        self._state.fences[key] = fence
        if shown == EVERYTHING:
            return DropListing(row.messages, row.octets, row.next_sequence - 1, row.removals)
        since = _since(shown, self._state.now())
        seen = [each for each in self._rows(key).values() if each.removed_at is None and each.message.received >= since]
        octets, first = sum(each.message.octets for each in seen), min((each.sequence for each in seen), default=1)
        return DropListing(len(seen), octets, row.next_sequence - 1, row.removals, since, first)

    async def newest(self, fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        """Those of these fences that are still their maildrop's newest."""
        return {fence for key, fence in fences if self._state.fences.get(key) == fence}

    async def listing(self, key: MaildropKey, drop: DropListing) -> Listing:
        """The messages that `drop` counted. Raises Refusal(BROKEN) when they aren't those counted."""
        rows = [row for _, row in sorted(self._rows(key).items()) if _counted(row, drop)]
        if (len(rows), sum(row.message.octets for row in rows)) != (drop.messages, drop.octets):
            raise Refusal(Reason.BROKEN, f"maildrop {key.maildrop_id} does not list what it counts")
        imported = {row.sequence: row.message.imported_unique_id for row in rows}
        return Listing(
            array("q", (row.sequence for row in rows)),
            array("q", (row.message.octets for row in rows)),
            b"".join(row.message.unique_id.bytes for row in rows),
            Imported.of({sequence: kept for sequence, kept in imported.items() if kept is not None}),
        )

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """Where these messages are stored, also those removed since the listing was frozen."""
        rows = self._rows(key)
        found = [rows[sequence] for sequence in sequences if sequence in rows]
        return {row.sequence: _stored(row) for row in found}

    async def remove(
        self,
        key: MaildropKey,
        fence: bytes,
        sequences: Sequence[int],
        trail: Trail = NO_TRAIL,
        aftermath: Aftermath = NO_AFTERMATH,
    ) -> None:
        """Remove exactly these messages if `fence` is still the newest. Raises Refusal(LOST)."""
        if not sequences and not aftermath.retrieved:
            return
        rows = [row for row in map(self._rows(key).get, set(sequences)) if row is not None]
        if self._state.fences.get(key) != fence:
            if any(row.removed_by == fence for row in rows):
                return
            raise Refusal(Reason.LOST, f"a newer session holds maildrop {key.maildrop_id}")
        maildrop = self._state.maildrops[key]
        removed = remove_rows(maildrop, rows, fence, self._state.now())
        by = {"session": trail.session_id, "client": trail.client}
        by |= {"mechanism": trail.mechanism, "credential": trail.credential}
        record_removal(self._state, maildrop, ("client:" + maildrop.address, "messages.remove"), removed, by)
        own = [row for row in rows if row.removed_by == fence]
        _see_to(aftermath, own, self._rows(key), self._state.now())

    async def append(self, arrivals: Sequence[tuple[Recipient, NewMessage]]) -> Sequence[Refusal | None]:
        """Append each message to its maildrop; an outcome a recipient, in order."""
        return [self._append(recipient.key, message) for recipient, message in arrivals]

    async def known(self, key: MaildropKey, unique_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `unique_ids` that a message of this maildrop has, removed ones included."""
        return {row.message.unique_id for row in self._rows(key).values()} & set(unique_ids)

    async def taken(self, key: MaildropKey) -> set[str]:
        """What UIDL tells of each message of this maildrop, or would of the removed ones."""
        messages = (row.message for row in self._rows(key).values())
        return {each.imported_unique_id or each.unique_id.hex for each in messages}

    def _append(self, key: MaildropKey, message: NewMessage) -> Refusal | None:
        row = self._state.maildrops.get(key)
        if row is None or row.status == REMOVED:
            return Refusal(Reason.NO_RECIPIENT, f"maildrop {key.maildrop_id}")
        if any(kept.message.unique_id == message.unique_id for kept in self._rows(key).values()):
            return None
        reason = self._obstacle(row, message)
        if reason is not None:
            return Refusal(reason, f"maildrop {key.maildrop_id}")
        self._rows(key)[row.next_sequence] = MessageRow(key, row.next_sequence, self._once(key, message))
        row.next_sequence += 1
        row.messages += 1
        row.octets += message.octets
        return None

    def _once(self, key: MaildropKey, message: NewMessage) -> NewMessage:
        """`message` without the imported unique-id that another message of the maildrop has, removed or not."""
        others = (each.message.imported_unique_id for each in self._rows(key).values())
        return replace(message, imported_unique_id=None) if message.imported_unique_id in others else message

    def _obstacle(self, row: MaildropRow, message: NewMessage) -> Reason | None:
        policy = self._state.policy(row)
        octets, messages = policy.quota_octets, policy.quota_messages
        if not self._state.active(row):
            return Reason.SUSPENDED
        if (octets is not None and message.octets > octets) or (messages is not None and messages < 1):
            return Reason.NEVER_FITS
        if (octets is not None and row.octets + message.octets > octets) or (
            messages is not None and row.messages >= messages
        ):
            return Reason.OVER_QUOTA
        return None

    def _rows(self, key: MaildropKey) -> dict[int, MessageRow]:
        return self._state.messages.setdefault(key, {})


def record_removal(
    state: MemoryState,
    maildrop: MaildropRow,
    who: tuple[str, str],
    removed: Sequence[MessageRow],
    detail: Mapping[str, object],
) -> None:
    """Write the audit row of a removal, if there was one: `who` is the actor and the action."""
    if removed:
        counts = {"messages": len(removed), "octets": sum(row.message.octets for row in removed)}
        entry = AuditEntry(state.now(), *who, maildrop.address, {**counts, **detail})
        state.audit.append((maildrop.key.tenant_id, entry))


def remove_rows(
    maildrop: MaildropRow, rows: Sequence[MessageRow], fence: bytes | None, now: datetime
) -> Sequence[MessageRow]:
    """Mark those of `rows` that are listed as removed by one removal; which were."""
    listed = [row for row in rows if row.removed_at is None]
    if listed:
        maildrop.removals += 1
    for row in listed:
        row.removed_at, row.removed_in, row.removed_by = now, maildrop.removals, fence
        maildrop.messages -= 1
        maildrop.octets -= row.message.octets
    return listed


def _see_to(aftermath: Aftermath, removed: Sequence[MessageRow], rows: Mapping[int, MessageRow], now: datetime) -> None:
    for row in removed:
        if aftermath.undo_days is not None and row.removed_at and not row.kept_until:
            row.kept_until = row.removed_at + timedelta(days=aftermath.undo_days)
    for row in filter(None, map(rows.get, aftermath.retrieved)):
        if row.removed_at is None and row.retrieved_at is None:
            row.retrieved_at = now


def _stored(row: MessageRow) -> StoredMessage:
    return StoredMessage(row.sequence, row.message.unique_id, row.message.blob, row.message.trace)


def _counted(row: MessageRow, drop: DropListing) -> bool:
    return (
        row.sequence <= drop.upto
        and (row.removed_in is None or row.removed_in > drop.removals)
        and (drop.since is None or row.message.received >= drop.since)
    )


def _since(shown: Shown, now: datetime) -> datetime:
    moments = [] if shown.days is None else [now - timedelta(days=shown.days)]
    return max([*moments, *([shown.since] if shown.since else [])])
