"""Who waits is added up by resource, and told without a name. G17."""

import asyncio

from prometheus_client import REGISTRY

from service.app.waiting import Waiting
from service.mail.text_memory import TextMemory


async def test_texts_that_wait_for_either_half_of_the_memory_are_told_together() -> None:
    memory, waiting = TextMemory(100), Waiting()
    halves = (memory.first, memory.more)
    waiting.watch(*(half.turns for half in halves))
    for half in halves:
        await half.take(50)
    async with asyncio.TaskGroup() as texts:
        for half in halves:
            texts.create_task(half.take(1))
        await asyncio.sleep(0)
        await waiting.measure()
        assert REGISTRY.get_sample_value("poplar_turns_waiting", {"resource": "delivery"}) == 2
        for half in halves:
            half.give_back(50)
    await waiting.measure()
    assert REGISTRY.get_sample_value("poplar_turns_waiting", {"resource": "delivery"}) == 0
