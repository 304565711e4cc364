"""A wall around each outside directory, so that one which hangs harms nobody but its own tenants.

Owns how many questions are under way and wait, for how long, and the breaker: after several in a row that found the
directory away, the others are refused at once, and one at a time tries whether it is back. What a directory answers,
however wrong, keeps the breaker closed: whoever guesses names could open it otherwise. Tenants that share a directory
ask it in fair turns. Refuses to know vendors (G15).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.mail.outside.ports import AwayError, OutsideDirectory
from service.mail.turns import Bounds as Shared
from service.mail.turns import Turns
from service.model.outside import Answer, Question
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one directory may use of a process; times in seconds."""

    at_once: int = 8
    """Questions under way."""
    waiting: int = 64
    """Questions that wait for their turn; further ones are refused as overload."""
    deadline: float = 5.0
    """How long a question may take, its turn included."""
    failures: int = 5
    """After so many in a row without any answer the directory is left alone."""
    pause: float = 5.0
    """For how long."""
    most: float = 1.0
    """The part of the questions that one tenant alone may come to have (G16)."""


def _untold(outcome: str, seconds: float) -> None:
    """Whom nobody tells what came of a question."""


class Guard:
    """Implements `OutsideDirectory` over another; `told` hears yes, no, unavailable, overloaded or shut."""

    def __init__(
        self,
        name: str,
        directory: OutsideDirectory,
        bounds: Bounds,
        told: Callable[[str, float], None] = _untold,
    ) -> None:
        self.name = name
        self.judges = directory.judges
        self._directory = directory
        self._bounds = bounds
        self._told = told
        shared = Shared(bounds.at_once, queue=bounds.waiting, most=bounds.most)
        self._turns = Turns(f"directory {name}", shared)
        self._failed = 0
        self._shut_until = 0.0

    @property
    def held(self) -> int:
        """Questions under way or waiting."""
        return self._turns.used + self._turns.waiting

    async def ask(self, question: Question) -> Answer:
        """As the port says, within bounds. Raises Refusal: UNAVAILABLE, OVERLOADED."""
        began = time.monotonic()
        outcome = "unavailable"
        try:
            self._enter(began)
            answer = await self._within(question)
            outcome = "no" if answer is None else "yes"
        except _ShutError:
            outcome = "shut"
            raise
        except Refusal as refusal:
            outcome = "overloaded" if refusal.reason is Reason.OVERLOADED else "unavailable"
            raise
        finally:
            self._told(outcome, time.monotonic() - began)
        return answer

    def _enter(self, now: float) -> None:
        if self._failed >= self._bounds.failures:
            if now < self._shut_until:
                raise _ShutError(f"directory {self.name}: left alone after {self._failed} failures")
            # This one tries whether it is back; the others are refused until that is known.
            self._shut_until = now + max(self._bounds.pause, self._bounds.deadline)

    async def _within(self, question: Question) -> Answer:
        under_way = False
        try:
            async with asyncio.timeout(self._bounds.deadline) as limit, self._turns.turn(question.tenant):
                self._look_at_time(limit)
                under_way = True
                answer = await self._directory.ask(question)
        except TimeoutError as error:
            if not under_way:
                raise Refusal(Reason.OVERLOADED, f"directory {self.name}: no turn in time") from error
            raise self._away("no answer in time") from error
        except AwayError as error:
            raise self._away(error.cause) from error
        except Refusal:
            self._failed = 0 if under_way else self._failed
            raise
        self._failed = 0
        return answer

    def _look_at_time(self, limit: asyncio.Timeout) -> None:
        """Raise TimeoutError in the last tenth of the time: what isn't answered then would look like an outage, and the
        turn is better another's."""
        end = limit.when()
        if end is not None and end - asyncio.get_running_loop().time() < self._bounds.deadline / 10:
            raise TimeoutError

    def _away(self, cause: str) -> Refusal:
        self._failed += 1
        self._shut_until = time.monotonic() + self._bounds.pause
        return Refusal(Reason.UNAVAILABLE, f"directory {self.name}: {cause}")


class _ShutError(Refusal):
    """Refused without asking."""

    def __init__(self, cause: str) -> None:
        super().__init__(Reason.UNAVAILABLE, cause)
