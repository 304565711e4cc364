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
TELLING = ("no lease could be had", '"component": "leases"')


@dataclass(eq=False)
class Overheard:
    """What the house's processes say."""

    house: House
    recorder: Recorder
    heard: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    async def work(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set."""
        while not stop.is_set():
            await asyncio.sleep(EVERY)
            for name, log in self.house.logs:
                if any(word in line for line in self._news(log) for word in TELLING):
                    self._note(name)

    def _news(self, log: Path) -> list[str]:
        with log.open("rb") as file:
            file.seek(self._read.get(log, 0))
            news = file.read()
        self._read[log] = self._read.get(log, 0) + len(news)
        return news.decode("utf-8", "replace").splitlines()

    def _note(self, name: str) -> None:
        self.heard += 1
        what = f"Redis late for {name}, {self.heard}"
        fault = self.recorder.begin(NAME, "fault", what=what, touches=("redis",))
        fault.began -= BEFORE
        fault.end("ok")
        self.recorder.note(NAME, "mended", what=what)
