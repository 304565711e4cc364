"""A maildrop's listing, page by page: packed by Postgres, put together here.

Owns the statements and the packed columns. Refuses to know which messages a session counted, and whether all came.
RFC 1939 §4 (numbers), §7 (UIDL).
"""

import asyncio
import sys
from array import array
from itertools import accumulate

from service.mail.listing_parts import Parts, alone, joined
from service.model.imported import Imported
from service.model.listing import PIECE, Listing
from service.stores.postgres.database import Row

# Columns packed by the server: 32 octets a message in three values, not an object each. One page of them is asked for
# at a time, so that neither side ever holds a large listing twice or works on it for long.
_PAGE = """
SELECT count(*) AS messages, coalesce(sum(octets), 0)::bigint AS octets,
       string_agg(int8send(sequence), ''::bytea ORDER BY sequence) AS sequences,
       string_agg(int8send(octets), ''::bytea ORDER BY sequence) AS each_octets,
       string_agg(uuid_send(unique_id), ''::bytea ORDER BY sequence) AS unique_ids,
       string_agg(int8send(sequence), ''::bytea ORDER BY sequence)
           FILTER (WHERE imported_unique_id IS NOT NULL) AS imported_sequences,
       string_agg(int8send(length(imported_unique_id)), ''::bytea ORDER BY sequence) AS imported_lengths,
       string_agg(imported_unique_id, '' ORDER BY sequence) AS imported_text
FROM (
    SELECT sequence, octets, unique_id, imported_unique_id FROM messages
    WHERE tenant_id = $1 AND maildrop_id = $2 AND sequence <= $3 AND (removed_in IS NULL OR removed_in > $4)
      AND sequence > $5{more}
    ORDER BY sequence LIMIT $6
) m
"""

LISTING = _PAGE.format(more="")

# The same of a session that doesn't see everything.
LISTING_SINCE = _PAGE.format(more=" AND received >= $7")

PAGE = 1 << 17
"""Messages of one page: some 4 MiB, for which Postgres works some 50 ms."""


class Pages:
    """The pages that came so far, in order."""

    def __init__(self) -> None:
        self.octets = 0
        self._parts = Parts()
        self._imported = Imported()
        self._imported_text: list[bytes] = []

    @property
    def messages(self) -> int:
        """How many messages they have."""
        return self._parts.messages

    async def add(self, row: Row) -> int:
        """Take a page of at least one message, others in between; the sequence number of its last one."""
        self.octets += row["octets"]
        last = 0
        for start in range(0, 8 * row["messages"], 8 * PIECE):
            if start:
                await asyncio.sleep(0)
            end = start + 8 * PIECE
            sequences = _numbers(row["sequences"][start:end])
            self._parts.add(sequences, _numbers(row["each_octets"][start:end]), row["unique_ids"][2 * start : 2 * end])
            last = sequences[-1]
        if row["imported_sequences"] is not None:
            await self._add_imported(row)
        return last

    async def listing(self) -> Listing:
        """All of them together."""
        async with alone(self.messages):
            text = await joined(self._imported_text)
            return await self._parts.listing(Imported(self._imported.sequences, self._imported.ends, text))

    async def _add_imported(self, row: Row) -> None:
        sequences, ends = self._imported.sequences, self._imported.ends
        for start in range(0, len(row["imported_sequences"]), 8 * PIECE):
            if start:
                await asyncio.sleep(0)
            end = start + 8 * PIECE
            sequences.extend(_numbers(row["imported_sequences"][start:end]))
            lengths = _numbers(row["imported_lengths"][start:end])
            lengths[0] += ends[-1] if ends else 0
            ends.extend(accumulate(lengths))
        self._imported_text.append(row["imported_text"].encode())


def _numbers(column: bytes) -> "array[int]":
    """What int8send wrote, one after another."""
    numbers = array("q", column)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
