"""Memory given back after a peak. G15."""

import asyncio
import ctypes
import sys

import pytest

from service.app.trimming import WORTH_IT, Trimming, resident

MEBIBYTE = 1024 * 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
async def test_g15_what_a_peak_leaves_free_between_what_is_used_is_given_back() -> None:
    # What earlier tests left free would be used first, and nothing would grow.
    ctypes.CDLL(None).malloc_trim(0)
    before = Trimming()
    began = resident()
    # Short enough to come from the heap, where the ones that stay keep it from shrinking.
    blocks = [b"x" * (100_000 + n % 2) for n in range(2 * WORTH_IT // 100_000)]
    assert resident() > began + WORTH_IT
    kept = blocks[::40]
    # What is left is little, and what was free before may be in use now.
    blocks.clear()
    taken = bytearray(WORTH_IT + 8 * MEBIBYTE)
    taken[::4096] = b"x" * len(taken[::4096])
    peak = resident()
    await before.trim()
    assert resident() - len(taken) <= began + 24 * MEBIBYTE
    assert resident() <= peak
    assert len(kept) > 1


async def test_a_process_that_did_not_grow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("not worth it")

    trimming = Trimming()
    monkeypatch.setattr(asyncio, "to_thread", fail)
    await trimming.trim()
