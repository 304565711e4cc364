"""What goes wrong between a process and its stores, at the very call that a scenario chooses.

Owns lives that pause and end, and calls that fail, are answered too late, or are carried out and never answered.
Refuses to know which store it stands before.
"""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from service.model.refusal import Reason, Refusal

Call = Callable[[], Awaitable[Any]]
Harm = Callable[[Call], Awaitable[Any]]


class Life:
    """A process's: paused, none of its calls goes on; dead, none ever does."""

    def __init__(self) -> None:
        self._going = asyncio.Event()
        self._going.set()
        self._over = False

    def pause(self) -> None:
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def end(self) -> None:
        """Let the calls of the dead fail, so that their tasks come to an end with the scenario."""
        self._over = True
        self._going.set()

    async def goes_on(self) -> None:
        await self._going.wait()
        if self._over:
            raise Refusal(Reason.UNAVAILABLE, "the scenario is over")


class Harms:
    """What is to happen to the next calls, by the method's name."""

    def __init__(self) -> None:
        self._next: dict[str, list[Harm]] = defaultdict(list)

    def next(self, method: str, *harms: Harm) -> None:
        self._next[method] += harms

    def clear(self) -> None:
        self._next.clear()

    def of(self, method: str) -> Harm:
        return self._next[method].pop(0) if self._next[method] else carried_out


class Port:
    """Stands before a port of one process."""

    def __init__(self, port: Any, life: Life, harms: Harms) -> None:
        self._port, self._life, self._harms = port, life, harms

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def called(*arguments: Any, **more: Any) -> Any:
            await self._life.goes_on()
            answer = await self._harms.of(name)(lambda: method(*arguments, **more))
            await self._life.goes_on()
            return answer

        return called


async def carried_out(call: Call) -> Any:
    """Nothing goes wrong."""
    return await call()


async def refused(call: Call) -> Any:
    """The system is away: nothing is done."""
    raise Refusal(Reason.UNAVAILABLE, "told to fail")


def unanswered(reason: Reason) -> Harm:
    """It is done, and the answer is lost."""

    async def harm(call: Call) -> Any:
        await call()
        raise Refusal(reason, "told to lose the answer")

    return harm


class Slow:
    """A call that has begun and waits to be let on."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, call: Call) -> Any:
        self.begun.set()
        await self.go_on.wait()
        return await call()
