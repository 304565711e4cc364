"""Short messages whose octets were asked for before anybody waits for them: each a future, none a task.

Owns what is promised of such a read, and the turn that it holds until it ends. A task, its context and a clock of its
own cost more than all else that a short message from a remote store takes; so a read that was begun has no repetitions
and no more than the store's own deadline, and whoever comes to need what it failed to bring reads that as any other.
Refuses to know stores, and to verify anything.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from service.mail.patience import Flow
from service.mail.turns import Turns, Whose
from service.mail.whose import WHOSE
from service.model.refusal import Reason, Refusal


class BegunBlobs(Protocol):
    """Blobs that can be asked for without waiting."""

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """What the first `octets` of a blob will be, or the Refusal that they came to; who needs them no more cancels.

        None where only a `read` gives them: because they are many, or because that has to be traced.
        """


@dataclass(frozen=True, slots=True)
class SpareBegun:
    """Implements `BegunBlobs` as `SpareBlobs` reads: only while half of all turns would stay free."""

    blobs: BegunBlobs
    turns: Turns
    flow: Flow = field(default_factory=Flow)
    traced: Callable[[], bool] = lambda: False
    """Whether a step runs that is traced: what it begins is read by a task, which has a step of its own."""

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """As the port says. Raises Refusal(OVERLOADED) where there is no turn to spare."""
        if self.traced():
            return None
        whose = WHOSE.get()
        if not self.turns.try_take(whose, leaving=int(self.turns.bounds.amount // 2)):
            raise Refusal(Reason.OVERLOADED, f"{self.turns.resource}: no turn to spare")
        begun = None
        try:
            begun = self.blobs.begin(key, octets)
        finally:
            if begun is None:
                self.turns.give_back(whose)
        if begun is not None:
            begun.add_done_callback(partial(self._ended, whose))
        return begun

    def _ended(self, whose: Whose, begun: "asyncio.Future[bytes]") -> None:
        self.turns.give_back(whose)
        if not begun.cancelled() and begun.exception() is None:
            self.flow.hear()
