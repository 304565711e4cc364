"""What goes wrong, and when: at each await of a port the dice may choose one fault.

Owns the faults and that each keeps the port's contract: what a method promises of its refusals holds for a lost answer
as well. Refuses to know what is stored and who asks.
"""

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.model.refusal import Reason, Refusal
from tests.simulation.loop import Process, SimulationLoop

FAULTS = ("refused", "busy", "lost", "late", "silent", "cancelled", "broken off", "died", "paused", "cut", "forgotten")
"""`lost`: done, but the answer isn't heard; `late`: done after the caller gave up; `silent`: no answer, not done;
`cancelled` and `broken off`: the caller is cancelled before it is done, and after."""
CALLS = (
    *("acquire", "acquire", "release", "renew", "newest", "seize", "open", "remove", "find", "listing", "locate"),
    *(
        "append",
        "put",
        "delete",
        "read",
        "stream",
        "resolve",
        "forget",
        "release_blobs",
        "enter",
        "leave",
        "last",
        "note",
    ),
)
"""At which of them it matters most; a process may die or pause at each."""
DEADLINES: Mapping[str, float] = {"postgres": 5.0, "redis": 0.5, "objects": 8.0, "threads": 1.0}
LATENCY = 0.01
LASTS: Mapping[str, float] = {"paused": 51.0, "cut": 46.0, "late": 20.0, "died": 31.0, "silent": 8.0, "lost": 8.0}
"""Seconds for which a fault may be felt, at most, where that is more than one."""
PLAIN = frozenset({"current", "adopt"})
"""Methods that don't wait."""
UNFAILING = frozenset({"verify", "hash"})
UNCANCELLED = frozenset({"release", "leave", "spend", "renew", "stay", "newest", "seize"})
"""What only the end of the process breaks off: giving back, and looking after the leases."""
BLOBS = frozenset({"read", "stream"})


class DiedError(BaseException):
    """What a dead process runs into where it is still unwound."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How often something goes wrong at an await, and what may."""

    chance: float = 0.0
    faults: Sequence[str] = ()
    corrupts: float = 0.0
    """How often what is read of a blob is cut short or has a wrong octet."""
    leaves: float = 0.0
    """How often a client leaves in the middle, or stops reading."""
    focus: frozenset[str] = frozenset()
    """The calls at which something goes wrong, where it doesn't at all of them."""

    @classmethod
    def drawn(cls, dice: random.Random) -> "Weather":
        """One in eight schedules has no fault at all, one in eight only clients that leave."""
        if dice.random() < 0.125:
            return cls()
        leaves = dice.choice((0.0, 0.05, 0.3))
        if dice.random() < 0.125:
            return cls(leaves=leaves)
        faults = dice.sample(FAULTS, dice.randrange(1, len(FAULTS) + 1))
        corrupts = dice.choice((0.0, 0.0, 0.1))
        if dice.random() < 0.4:
            # Much of one kind finds what a little of everything doesn't.
            focus = frozenset(dice.sample(CALLS, dice.choice((1, 2, 3))))
            return cls(dice.choice((0.2, 0.5)), faults, corrupts, leaves, focus)
        return cls(dice.choice((0.01, 0.03, 0.1, 0.25)), faults, corrupts, leaves)


@dataclass
class Faults:
    """What has gone wrong in one schedule."""

    loop: SimulationLoop
    weather: Weather
    forget: Callable[[], None]
    """Has the store of leases forget everything."""
    told: Callable[[str, float, tuple[str, ...]], object]
    """Hears what goes wrong, for how many seconds it may show, and which systems and processes it touches."""
    counted: Counter[str] = field(default_factory=Counter)
    awaits: int = 0
    hit: int = 0
    """Awaits at which something went wrong."""
    tainted: set[str] = field(default_factory=set)
    """Leases' tokens of which some call went wrong: these may be held until they run out."""
    _cut: dict[tuple[str, str], float] = field(default_factory=dict)

    def clear(self) -> None:
        """Nothing goes wrong from now on, and everything that did is mended."""
        self.weather = Weather()
        self._cut.clear()

    def drawn(self, call: str) -> str | None:
        """What goes wrong at this await, if anything does."""
        self.awaits += 1
        weather = self.weather
        if weather.focus and call.rpartition(".")[2] not in weather.focus:
            return None
        if not weather.faults or self.loop.dice.random() >= weather.chance:
            return None
        fault = self.loop.dice.choice(weather.faults)
        if fault == "busy" and not (" postgres." in call or call.rpartition(".")[2] in BLOBS):
            # Only where turns are taken may anything be too busy.
            fault = "refused"
        if fault in ("cancelled", "broken off") and call.partition(".")[2] in UNCANCELLED:
            fault = "refused"
        self.hit += 1
        self.counted[fault] += 1
        self.told(f"{fault} at {call}", LASTS.get(fault, 1.0), _touched(fault, call))
        return fault

    def cut(self, process: str, system: str) -> None:
        """A partition between the two, for longer or shorter than a lease."""
        self._cut[process, system] = self.loop.time() + self.loop.dice.choice((1.0, 15.0, 45.0))

    def cut_until(self, process: str, system: str) -> float:
        """When the partition heals, in the past if there is none."""
        return self._cut.get((process, system), 0.0)


class Port:
    """A port of `process` in front of a store of `system`, with everything that can go wrong in between."""

    def __init__(self, behind: Any, system: str, process: Process, faults: Faults) -> None:
        self._behind = behind
        self._system = system
        self._process = process
        self._faults = faults
        self._dice = faults.loop.dice
        self._renewing: asyncio.Future[None] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._behind, name)
        if name in PLAIN:
            return method
        calls: dict[str, Any] = {"renew": self._renew, "release": self._release}
        call = self._streamed if inspect.isasyncgenfunction(method) else calls.get(name, self._called)

        def bound(*args: Any) -> Any:
            return call(name, method, args)

        setattr(self, name, bound)
        return bound

    async def _renew(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """The real port has a release wait for a renewal under way, which may bring the lease back."""
        self._renewing = asyncio.get_running_loop().create_future()
        try:
            return await self._called(name, method, args)
        finally:
            self._renewing.set_result(None)

    async def _release(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if self._renewing is not None:
            await asyncio.wait({self._renewing})
        return await self._called(name, method, args)

    async def _called(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if not self._process.alive:
            raise DiedError
        fault = self._faults.drawn(f"{self._process.name} {self._system}.{name}")
        if fault is not None and name not in UNFAILING:
            self._taint(args)
            await self._before(fault, name, method, args)
        await self._connected(args)
        await self._travel()
        result = await method(*args)
        await self._travel()
        if fault == "broken off":
            await self._cancelled(name, args)
        if fault == "lost" and name not in UNFAILING:
            await asyncio.sleep(self._dice.choice((0.0, DEADLINES[self._system])))
            raise self._failure(name)
        return self._read(result) if name in BLOBS else result

    async def _streamed(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> AsyncIterator[Any]:
        if not self._process.alive:
            raise DiedError
        pieces = method(*args)
        while True:
            fault = self._faults.drawn(f"{self._process.name} {self._system}.{name}")
            if fault is not None:
                await self._before("silent" if fault in ("lost", "late", "broken off") else fault, name, method, args)
            await self._connected(args)
            await self._travel()
            piece = await anext(pieces, None)
            if piece is None:
                return
            yield self._read(piece) if name in BLOBS else piece

    async def _before(self, fault: str, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """What happens in place of the call, or before it."""
        match fault:
            case "refused" | "busy":
                await self._travel()
                raise Refusal(Reason.UNAVAILABLE if fault == "refused" else Reason.OVERLOADED, f"told to: {name}")
            case "silent" | "late":
                if fault == "late":
                    self._do_later(name, method, args)
                await asyncio.sleep(DEADLINES[self._system])
                raise self._failure(name, certain=fault == "silent" and self._dice.random() < 0.5)
            case "cancelled":
                await self._cancel()
            case "died":
                self._process.die()
                await asyncio.get_running_loop().create_future()
            case "paused":
                self._process.pause(self._dice.choice((0.5, 20.0, 50.0)))
                await asyncio.sleep(0)
            case "cut":
                self._faults.cut(self._process.name, self._system)
            case "forgotten":
                self._faults.forget()

    async def _cancelled(self, name: str, args: tuple[Any, ...]) -> None:
        """Break off what was done already; a lease that nobody would release the port gives back itself."""
        if name == "acquire":
            self._faults.loop.outside(self._faults.loop.create_task, _quietly(self._behind.release, args))
        await self._cancel()

    async def _cancel(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    def _do_later(self, name: str, method: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Have it done after the caller gave up; what takes its octets from the caller can't be."""
        loop = self._faults.loop
        if name != "put":
            after = DEADLINES[self._system] + self._dice.random() * 10.0
            loop.outside(loop.call_later, after, lambda: loop.outside(loop.create_task, _quietly(method, args)))

    async def _connected(self, args: tuple[Any, ...]) -> None:
        """Wait while there is a partition. Raises Refusal(UNAVAILABLE) if that lasts longer than the deadline."""
        loop = self._faults.loop
        wait = self._faults.cut_until(self._process.name, self._system) - loop.time()
        if wait > 0:
            self._taint(args)
            await asyncio.sleep(min(wait, DEADLINES[self._system]))
            if wait > DEADLINES[self._system]:
                raise Refusal(Reason.UNAVAILABLE, f"{self._system} can't be reached")

    async def _travel(self) -> None:
        """One way through the network."""
        await asyncio.sleep(self._dice.random() * LATENCY)

    def _failure(self, name: str, *, certain: bool = False) -> Refusal:
        """What the port raises when it can't tell whether the call was done; `certain` if it knows that it wasn't."""
        unknown = name == "remove" and not certain
        return Refusal(Reason.UNKNOWN_OUTCOME if unknown else Reason.UNAVAILABLE, f"told to: {name}")

    def _read(self, octets: bytes) -> bytes:
        if not octets or self._dice.random() >= self._faults.weather.corrupts:
            return octets
        self._faults.counted["corrupt"] += 1
        at, wrong = self._dice.randrange(len(octets)), self._dice.random() < 0.5
        return octets[:at] + b"\0" + octets[at + 1 :] if wrong else octets[:at]

    def _taint(self, args: tuple[Any, ...]) -> None:
        """A lease that some call went wrong for may be held for as long as it lasts."""
        for each in args:
            leases = each if isinstance(each, list) else [each]
            self._faults.tainted.update(one.token for one in leases if hasattr(one, "token"))


async def _quietly(method: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Do it for nobody."""
    try:
        await method(*args)
    except Refusal:
        return


def _touched(fault: str, call: str) -> tuple[str, ...]:
    """The process alone where it stands still or dies at a call, else the system as the process sees it."""
    process, _, asked = call.partition(" ")
    if fault in {"paused", "died"}:
        return (process,)
    return "redis" if fault == "forgotten" else asked.partition(".")[0], process
