"""Many numbers as one parameter of a statement: as the text of an array, which Postgres reads by itself.

Owns that text, made slice by slice. The driver would make a list of a million numbers in one go, in which no other
session of the process goes on. Refuses to know what the numbers are. RFC 1939 §6 (QUIT may remove a whole maildrop).
"""

import asyncio
from collections.abc import Sequence

SLICE = 10_000
"""Numbers between which others run: some millisecond's work."""


async def array_text(numbers: Sequence[int]) -> str:
    """The text of a `bigint[]`, to be given as `$n::text::bigint[]`."""
    slices = []
    for start in range(0, len(numbers), SLICE):
        if start:
            await asyncio.sleep(0)
        slices.append(",".join(map(str, numbers[start : start + SLICE])))
    return "{" + ",".join(slices) + "}"
