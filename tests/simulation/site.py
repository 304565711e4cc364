"""The processes that are up, and the nemesis that sees to it that they don't stay so.

Owns which process serves a client now, that a dead one is replaced, and staff who change passwords and end sessions.
"""

import asyncio
import hashlib
from collections.abc import Mapping

from service.mail.ports import LEASE_SECONDS
from service.model.account import MaildropKey
from service.stores.memory.passwords import PREFIX
from service.stores.memory.state import ACTIVE, SUSPENDED
from tests.faults.operations import Recorder
from tests.simulation.faults import Faults, Weather
from tests.simulation.loop import SimulationLoop
from tests.simulation.processes import FrontEnd, Lmtp, Running, Sweeper
from tests.simulation.wires import Client
from tests.simulation.world import FIRST_SECRET, World

KINDS: Mapping[str, type[Running]] = {"front": FrontEnd, "lmtp": Lmtp, "sweep": Sweeper}
MISHAPS = ("kill", "pause", "roll", "forget", "cut", "shed", "kick", "password", "suspend")


class Site:
    """Three front ends, one or two LMTP processes, one or two sweeps."""

    def __init__(self, loop: SimulationLoop, recorder: Recorder) -> None:
        self.loop = loop
        self.recorder = recorder
        self.world = World(loop)
        dice = loop.dice
        self.faults = Faults(loop, Weather.drawn(dice), self.world.locks.forget, self._tell)
        self.names = ["front1", "front2", "front3"][: dice.choice((1, 2, 3))]
        self.names += ["lmtp1", "lmtp2"][: dice.choice((1, 2))] + ["sweep1", "sweep2"][: dice.choice((0, 1, 2))]
        self._starts = self._told = 0
        self.running = {name: self._start(name) for name in self.names}
        self.suspended: set[str] = set()
        self.slowness = dice.choice((0.0, 0.1, 0.5))
        """How often readers stop to think."""
        self.secrets = {address: [FIRST_SECRET] for address in self.world.keys}
        for address in self.world.keys:
            recorder.note("staff", "password", address, secret=FIRST_SECRET)
        for address, identity, octets in self.world.earlier:
            digest = hashlib.sha256(octets).hexdigest()
            recorder.note("earlier", "deliver", address, text=identity, octets=len(octets), sha256=digest)

    def connect(self, kind: str, client: str) -> Client | None:
        """A connection to one of the processes of this kind, as a balancer gives; None while none is up."""
        up = [one for name, one in sorted(self.running.items()) if name.startswith(kind) and not one.draining]
        return self.loop.dice.choice(up).connect(client) if up else None

    def secret_of(self, address: str, *, careful: bool) -> str:
        """The password; now and then the one before, from who wasn't told of the change or isn't `careful`."""
        known = self.secrets[address]
        return known[-1] if careful or self.loop.dice.random() < 0.8 else known[max(0, len(known) - 2)]

    async def nemesis(self) -> None:
        """Have something happen every now and then; nothing where nothing is to go wrong."""
        dice = self.loop.dice
        for _ in range(dice.choice((0, 1, 3, 6)) if self.faults.weather.chance else 0):
            await asyncio.sleep(dice.choice((0.2, 2.0, 15.0)) * dice.random())
            self._mishap(dice.choice(MISHAPS))

    def mend(self) -> None:
        """Nothing goes wrong any more, and every process is there."""
        self.faults.clear()
        for address in sorted(self.suspended):
            self._suspend(address)
        for name in self.names:
            if name not in self.running:
                self._restart(name)

    def end(self) -> None:
        """End all processes at once, for good."""
        self.names.clear()
        for one in list(self.running.values()):
            one.process.die()

    def _mishap(self, what: str) -> None:
        dice, world = self.loop.dice, self.world
        self.faults.counted[what] += 1
        up = [one for _, one in sorted(self.running.items())]
        some = dice.choice(up) if up else None
        address = dice.choice(sorted(world.keys))
        match what:
            case "kill" | "pause" | "roll" | "shed" if some is not None:
                self._harm(what, some)
            case "forget":
                self._tell("Redis forgets everything", 1.0, ("redis",))
                world.locks.forget()
            case "cut":
                system = dice.choice(("postgres", "redis", "objects"))
                self._tell(f"{system} is away", 46.0, (system,))
                for one in up:
                    self.faults.cut(one.process.name, system)
            case "kick":
                self._kick(address)
            case "password":
                self._change_password(address)
            case "suspend":
                self._suspend(address)

    def _harm(self, what: str, some: Running) -> None:
        self._tell(f"{what} {some.process.name}", 51.0, (some.process.name,))
        if what == "kill":
            self._kill(some)
        elif what == "pause":
            self._kick_late(some)
            some.process.pause(self.loop.dice.choice((1.0, 12.0, 20.0, 50.0)))
        elif what == "roll":
            some.drain(self.loop.dice.choice((0.0, 5.0, 30.0)))
        else:
            some.shed()

    def _kill(self, some: Running) -> None:
        left = self._kick_late(some)
        some.process.die()
        self.loop.call_later(LEASE_SECONDS + 0.01, self._look_for, left)

    def _kick_late(self, some: Running) -> Mapping[MaildropKey, str]:
        """Staff may end its sessions late: their maildrops must be free no later for that, and they stay ended."""
        dice, every = self.loop.dice, self.world.locks._held.items()
        left = {key: one.token for key, one in every if one.holder and one.holder.process == some.process.name}
        for address in sorted(address for address, key in self.world.keys.items() if key in left):
            if dice.random() < 0.5:
                self.loop.call_later(LEASE_SECONDS * dice.random(), self._kick, address)
        return left

    def _look_for(self, left: Mapping[MaildropKey, str]) -> None:
        for key, token in left.items():
            held = self.world.locks._current(key)
            if held is not None and held.token.endswith(token) and token not in self.faults.tainted:
                self.world.wrong.append(f"a dead process's maildrop isn't free within a lease: {key.maildrop_id}")

    def _kick(self, address: str) -> None:
        self.recorder.note("staff", "kick", address)
        self.loop.create_task(self.world.locks.evict(self.world.keys[address]))

    def _change_password(self, address: str) -> None:
        secret = f"secret {len(self.secrets[address]) + 1}"
        with self.recorder.begin("staff", "password", None, address, secret=secret) as changing:
            for row in self.world.state.credentials:
                if row.key == self.world.keys[address]:
                    row.verifier = PREFIX + secret
            self.secrets[address].append(secret)
            changing.end("ok")

    def _suspend(self, address: str) -> None:
        row = self.world.state.maildrops[self.world.keys[address]]
        row.status = SUSPENDED if row.status == ACTIVE else ACTIVE
        self.suspended ^= {address}
        self.recorder.note("staff", "suspend" if row.status == SUSPENDED else "resume", address)

    def _start(self, name: str) -> Running:
        self._starts += 1
        running = KINDS[name.rstrip("123")](f"{name}#{self._starts}", self.world, self.faults)
        running.process.at_end(lambda: self._ended(running))
        return running

    def _ended(self, running: Running) -> None:
        """Somebody else notices, and starts another."""
        name = running.process.name.partition("#")[0]
        if self.running.get(name) is running:
            del self.running[name]
            self.loop.call_later(1.0 + 20.0 * self.loop.dice.random(), lambda: self._restart(name))

    def _restart(self, name: str) -> None:
        if name in self.names and name not in self.running:
            self.running[name] = self._start(name)

    def _tell(self, what: str, seconds: float, touched: tuple[str, ...]) -> None:
        self._told += 1
        what = f"{what} ({self._told})"
        self.recorder.note("nemesis", "fault", what=what, touches=touched)
        self.loop.call_later(seconds, lambda: self.recorder.note("nemesis", "mended", what=what))
