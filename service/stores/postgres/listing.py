"""A maildrop's listing, page by page: packed by Postgres, put together here.

Owns the statements and the packed columns. Refuses to know which messages a session counted, and whether all came.
RFC 1939 §4 (numbers), §7 (UIDL).
"""

import sys
from array import array
from itertools import accumulate

from service.model.imported import Imported
from service.model.listing import Listing
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
        self.messages = 0
        self.octets = 0
        self._sequences = array("q")
        self._each_octets = array("q")
        self._unique_ids: list[bytes] = []
        self._imported = Imported()
        self._imported_text: list[bytes] = []

    def add(self, row: Row) -> int:
        """Take a page of at least one message; the sequence number of its last one."""
        self.messages += row["messages"]
        self.octets += row["octets"]
        self._sequences.extend(_numbers(row["sequences"]))
        self._each_octets.extend(_numbers(row["each_octets"]))
        self._unique_ids.append(row["unique_ids"])
        if row["imported_sequences"] is not None:
            self._add_imported(row)
        return self._sequences[-1]

    def listing(self) -> Listing:
        """All of them together."""
        imported = Imported(self._imported.sequences, self._imported.ends, b"".join(self._imported_text))
        return Listing(self._sequences, self._each_octets, b"".join(self._unique_ids), imported)

    def _add_imported(self, row: Row) -> None:
        ends = self._imported.ends
        begin = ends[-1] if ends else 0
        self._imported.sequences.extend(_numbers(row["imported_sequences"]))
        lengths = _numbers(row["imported_lengths"])
        lengths[0] += begin
        ends.extend(accumulate(lengths))
        self._imported_text.append(row["imported_text"].encode())


def _numbers(column: bytes) -> "array[int]":
    """What int8send wrote, one after another."""
    numbers = array("q", column)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
