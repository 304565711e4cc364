"""Files that are put together: who waits for a thread, and who gives up waiting. G15, F12."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.stores.objects.puts import GOES, File, Puts


class Hanging:
    """A disk that answers once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.put: list[str] = []

    def __call__(self, files: Sequence[File]) -> list[OSError | None]:
        self.may.wait()
        self.put += [name for name, _ in files]
        return [None] * len(files)


@pytest.fixture
def disk() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.may.set()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_g15_a_put_that_is_given_up_leaves_nothing_in_memory_however_long_the_disk_hangs(disk: Hanging) -> None:
    with ThreadPoolExecutor(GOES) as threads:
        puts = Puts(disk, threads)
        going = []
        for number in range(GOES):
            going.append(asyncio.create_task(puts.put(f"going{number}", b"text")))
            await settled()
        waiting = [asyncio.create_task(puts.put(f"waiting{number}", bytes(1 << 20))) for number in range(3)]
        await settled()
        assert len(puts._waiting) == 3
        for task in waiting[:2]:
            task.cancel()
        await asyncio.wait(waiting[:2])
        assert [put.file[0] for put in puts._waiting] == ["waiting2"]
        disk.may.set()
        await asyncio.gather(*going, waiting[2])
    assert sorted(disk.put) == ["going0", "going1", "waiting2"]
