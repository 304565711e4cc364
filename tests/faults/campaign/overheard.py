"""Listens to what the processes log, for trouble that nobody made: a Redis that is late because the machine is busy.

Owns the lines that tell so, and their notes in the history, as of faults: without a lease the fence alone guards a
maildrop, and two may read it at a time (G4). Refuses to excuse anything else.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.campaign.house import House
from tests.faults.operations import Recorder

NAME = "nemesis"
EVERY = 0.5
BEFORE = 5.0
"""Seconds by which the trouble may have begun before it was logged: a command's deadline, and more."""
QUIET = 10
"""Looks without another such line after which the trouble is over."""
TELLING = ("no lease could be had", '"component":"leases"')


@dataclass(eq=False)
class Overheard:
    """What the house's processes say."""

    house: House
    recorder: Recorder
    heard: int = 0
    _quiet: int = QUIET
    _read: dict[Path, int] = field(default_factory=dict)

    async def work(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set."""
        while not stop.is_set():
            await asyncio.sleep(EVERY)
            self._look()
        self._look()
        if self._quiet < QUIET:
            self._over()

    def _look(self) -> None:
        told = any(word in line for _, log in self.house.logs for line in self._news(log) for word in TELLING)
        if told and self._quiet >= QUIET:
            self._begun()
        elif not told and self._quiet == QUIET - 1:
            self._over()
        self._quiet = 0 if told else self._quiet + 1

    def _news(self, log: Path) -> list[str]:
        with log.open("rb") as file:
            file.seek(self._read.get(log, 0))
            news = file.read()
        self._read[log] = self._read.get(log, 0) + len(news)
        return news.decode("utf-8", "replace").splitlines()

    def _begun(self) -> None:
        self.heard += 1
        fault = self.recorder.begin(NAME, "fault", what=self._what, touches=("redis",))
        fault.began -= BEFORE
        fault.end("ok")

    def _over(self) -> None:
        self.recorder.note(NAME, "mended", what=self._what, touches=("redis",))

    @property
    def _what(self) -> str:
        return f"Redis late, as the logs say ({self.heard})"
