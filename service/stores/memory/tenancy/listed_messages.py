"""The in-memory twin of the messages that clients are shown.

Owns the same answers as `stores.postgres.tenancy.listed_messages`. Refuses to touch the fence.
"""

from collections.abc import Sequence
from itertools import islice

from service.model.address import Address
from service.model.message import StoredMessage
from service.model.tenancy import ListedMessage
from service.stores.memory.state import MemoryState, MessageRow
from service.stores.memory.tenancy.rows import maildrop_row


class MemoryListedMessages:
    """Implements `mail.tenancy.ListedMessages`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def page(self, tenant: str, address: Address, after: int, limit: int) -> Sequence[ListedMessage]:
        """Those after this sequence number. Raises Refusal(NOT_FOUND)."""
        maildrop = maildrop_row(self._state, tenant, address)
        rows = sorted(self._state.messages.get(maildrop.key, {}).items())
        listed = (row for sequence, row in rows if sequence > after and row.removed_at is None)
        return [_listed(row) for row in islice(listed, limit)]


def _listed(row: MessageRow) -> ListedMessage:
    new = row.message
    message = StoredMessage(row.sequence, new.unique_id, new.blob, new.trace)
    unique_id = new.imported_unique_id or new.unique_id.hex
    return ListedMessage(message, unique_id, new.received, row.retrieved_at is not None)
