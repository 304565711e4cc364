"""A million numbers for one statement: put together so that others go on meanwhile. G3, RFC 1939 §6."""

import asyncio
from array import array

import asyncpg

from service.stores.postgres.numbers import SLICE, array_text

MANY = array("q", range(1, 25 * SLICE, 2))


async def rounds_beside(numbers: "array[int]") -> int:
    """How often another task went on while the text of these was made."""
    rounds = 0

    async def other() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await array_text(numbers)
    beside.cancel()
    return rounds


async def test_others_go_on_between_slices_of_many_numbers() -> None:
    assert await rounds_beside(MANY) >= len(MANY) // SLICE
    assert await rounds_beside(MANY[:SLICE]) == 0


async def test_postgres_reads_the_numbers_that_were_given(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        for numbers in (array("q"), array("q", [-1]), array("q", [1, 2**62]), MANY):
            text = await array_text(numbers)
            assert await connection.fetchval("SELECT $1::text::bigint[]", text) == list(numbers)
    finally:
        await connection.close()
