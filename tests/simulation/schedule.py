"""One schedule: all that a seed decides, from the first client to the last look, and what was wrong with it.

Owns the order: clients at work while things go wrong, everything mended, nothing left behind, a last look, the sweep.
Refuses to know faults and clients. G1 to G9, G14, G18.
"""

import asyncio
import gc
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.mail.ports import LEASE_SECONDS
from service.mail.sweep import Sweep
from tests.faults.checking import judge
from tests.faults.operations import Operation, Outcome, Pending, Recorder
from tests.simulation.closed import closed
from tests.simulation.faults import Weather
from tests.simulation.loop import SimulationLoop, StuckError
from tests.simulation.readers import Reader, Session
from tests.simulation.senders import Sender
from tests.simulation.site import Site
from tests.simulation.wires import GoneError

LONGEST = 3600.0
"""Seconds in which every client has come to its end."""
SETTLED = 300.0
"""Seconds in which everything is given back once nothing goes wrong: longer than any pause, idle client or deadline."""
LATEST = 12.0
"""Seconds after which nothing is done late any more."""
DAY = 86_400.0
LAWFUL = ("-ERR [IN-USE]", "-ERR [SYS/TEMP] Too many sessions", "-ERR [SYS/TEMP] Octets of the day", "452")
"""How a client may be refused whatever goes well."""


@dataclass
class Result:
    """What came of one seed."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    history: list[Operation] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    awaits: int = 0
    hit: int = 0
    """Awaits at which something went wrong."""
    steps: int = 0
    trace: str = ""
    """The same for the same seed in any process, and for no other."""


class Keeping(Recorder):
    """A recorder that keeps operations, and writes no lines."""

    def __init__(self, kept: list[Operation], loop: SimulationLoop) -> None:
        super().__init__(io.StringIO(), loop.time)
        self._kept = kept

    def write(self, pending: Pending, outcome: Outcome, said: str | bytes, facts: Mapping[str, Any]) -> Operation:
        text = said.decode() if isinstance(said, bytes) else said
        span, whose = (pending.began, self._clock()), (pending.session, pending.maildrop)
        number = len(self._kept) + 1
        told = Operation(number, pending.client, pending.kind, *span, outcome, text.rstrip("\r\n"), *whose, facts)
        self._kept.append(told)
        return told


def run(seed: int, weather: Weather | None = None) -> Result:
    """Run the schedule of `seed`; with a weather that it doesn't choose, if one is given."""
    loop, result = SimulationLoop(seed), Result(seed)
    # The real loop runs in order: what only another order shows is looked at again with care.
    loop.shuffles = seed % 4 != 0
    with closed(seed, loop.time, result.wrong):
        schedule = Schedule(loop, result, weather)
        try:
            loop.run_until_complete(schedule.run())
        except StuckError as error:
            result.wrong.append(f"stuck: {error}")
        loop.finish()
        gc.collect()
    result.wrong += loop.complaints
    result.wrong += map(str, judge(result.history))
    result.wrong += schedule.refused_for_nothing()
    result.faults, result.steps = schedule.site.faults.counted, loop.steps
    result.awaits, result.hit = schedule.site.faults.awaits, schedule.site.faults.hit
    told = "\n".join(map(repr, (*result.history, sorted(result.faults.items()), loop.steps, loop.dice.random())))
    result.trace = hashlib.sha256(told.encode()).hexdigest()
    return result


class Schedule:
    """The course of one schedule."""

    def __init__(self, loop: SimulationLoop, result: Result, weather: Weather | None) -> None:
        self._loop = loop
        self._result = result
        self.site = Site(loop, Keeping(result.history, loop))
        self._calm = False
        if weather is not None:
            self.site.faults.weather = weather

    async def run(self) -> None:
        """From the first client to the last sweep."""
        self._calm = not (self.site.faults.weather.chance or self.site.faults.weather.leaves)
        await self._chaos()
        self.site.mend()
        await self._settle()
        await self._last_look()
        await self._settle()
        self.site.end()
        await self._sweep()
        self._result.wrong += self.site.world.wrong
        self._result.wrong += self.site.world.miscounted()

    def refused_for_nothing(self) -> Iterator[str]:
        """What was refused in a schedule in which nothing went wrong."""
        if self._calm:
            for one in self._result.history:
                if one.outcome != "ok" and not one.said.startswith(LAWFUL) and one.facts.get("secret") != "wrong":
                    yield f"refused for nothing: {one.kind} of {one.session or one.client} ({one.outcome}): {one.said}"

    async def _chaos(self) -> None:
        site, dice = self.site, self._loop.dice
        readers = [Reader(site, f"reader{n}", n).run(dice.choice((1, 2, 4))) for n in range(1, dice.choice((2, 4, 6)))]
        senders = [Sender(site, f"sender{n}", n).run(dice.choice((1, 3))) for n in range(1, dice.choice((2, 3)))]
        tasks = [self._loop.create_task(each) for each in (*readers, *senders, site.nemesis())]
        done, pending = await asyncio.wait(tasks, timeout=LONGEST)
        self._result.wrong += [f"a client never came to its end: {each.get_coro()!r}" for each in pending]
        self._result.wrong += [f"a client failed: {each.exception()!r}" for each in done if each.exception()]

    async def _settle(self) -> None:
        """Wait until all is given back."""
        until = self._loop.time() + SETTLED
        while (left := list(self._left())) and self._loop.time() < until:  # noqa: ASYNC110 - this time is virtual
            await asyncio.sleep(5.0)
        self._result.wrong += left
        self._result.wrong += [f"lease orphaned: {token}" for token in self._held(certain=True)]
        await asyncio.sleep(LEASE_SECONDS + LATEST)
        self._result.wrong += [f"lease kept alive: {token}" for token in self._held(certain=False)]

    def _left(self) -> Iterator[str]:
        missing = set(self.site.names) - set(self.site.running)
        yield from (f"{name} doesn't come back" for name in sorted(missing))
        for _, running in sorted(self.site.running.items()):
            yield from running.left()

    def _held(self, *, certain: bool) -> Iterator[str]:
        """Leases that are held; `certain`: of live processes, and no call that concerned them went wrong."""
        alive = {running.process.name for running in self.site.running.values()}
        for held in self.site.world.locks._held.values():
            if held.until > self._loop.time() and held.holder is not None:
                own = held.holder.process in alive and held.token not in self.site.faults.tainted
                if own or not certain:
                    yield f"{held.holder.session_id} of {held.holder.process}"

    async def _last_look(self) -> None:
        """What is in each maildrop in the end; each must be open to its owner now."""
        for address, key in self.site.world.keys.items():
            self.site.world.state.maildrops[key].policy.pop("octets_per_day", None)
            with self.site.recorder.begin("last", "final", None, address) as op:
                try:
                    op.end("ok", b"+OK", **await self._seen(address))
                except (GoneError, AssertionError) as error:
                    self._result.wrong.append(f"{address} can't be read in the end: {error}")

    async def _seen(self, address: str) -> dict[str, Any]:
        client = self.site.connect("front", "203.0.113.9")
        assert client is not None
        session = Session(self.site, client, ("last", f"last.{address}", address), errs=0.0)
        assert await session.logged_in(), "the login was refused"
        ids = await session.uidl()
        octets = await session.scan()
        texts = {ids[number]: await session.retr(number) for number in ids}
        await session.quit()
        assert all(texts.values()), "a message was refused"
        return {
            "ids": list(ids.values()),
            "octets": [octets[number] for number in ids],
            **{name: {each: facts[name] for each, facts in texts.items()} for name in ("sha256", "sent", "text")},
        }

    async def _sweep(self) -> None:
        """Days later nothing is stored that no row names."""
        world = self.site.world
        for days in (2, 8):
            self._loop.leap(days * DAY)
            await Sweep(world.sweepable, world.blobs, world.clock)()
        named = {row.message.blob.key for row in world.state.rows()}
        self._result.wrong += [f"blob without row: {key}" for key in sorted(world.blobs.keys() - named)]
