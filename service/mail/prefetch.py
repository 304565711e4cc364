"""Prefetch: the next messages are fetched while the client still reads this one.

Owns which messages are fetched ahead and what that may hold in memory, per session and per process.
Refuses to guess: only a client that reads in sequence is helped, and what isn't asked for after all is
dropped. A message fetched ahead is verified like any other (G8).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from service.mail.budget import Budget
from service.mail.places import Places
from service.mail.retrieval import AT_HAND_OCTETS, WHOLE_OCTETS, Retrieval
from service.mail.turns import Whose
from service.model.message import StoredMessage
from service.model.refusal import Reason, Refusal

Fetched = asyncio.Task[bytes]
OPENING = 8
"""Messages fetched ahead of the first one that is read: many clients read only one. Who reads on gets all there may be.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What fetching ahead may use: octets of one session, octets of the process, messages of one session."""

    session_octets: int
    process: Budget
    messages: int = 48
    used: Callable[[bool], None] = lambda _: None
    """Told of each message fetched ahead whether it was asked for."""


@dataclass(slots=True)
class Prefetch:
    """What one session has fetched ahead."""

    places: Places
    retrieval: Retrieval
    limits: Limits
    whose: Whose = None
    """Against whose share of the process's octets this counts."""
    _ahead: dict[int, tuple[Fetched, int]] = field(default_factory=dict)
    _octets: int = 0
    _expected: int | None = None
    _in_a_row: int = 0
    _near: bool = field(init=False)
    """Whether short messages are taken to be at hand in the store, as the last one was: then nothing is read ahead."""

    def __post_init__(self) -> None:
        self._near = self.retrieval.near is not None

    async def take(self, sequence: int) -> bytes | None:
        """The message's verified octets if they were fetched ahead; None to fetch it now, also where that had failed.

        Raises Refusal(UNAVAILABLE) when the store fails while it is waited for: trying all over again would double
        what the client waits.
        """
        entry = self._ahead.pop(sequence, None)
        if entry is None:
            return None
        task, octets = entry
        under_way = not task.done()
        try:
            return await task
        except Refusal as refusal:
            if under_way and refusal.reason is Reason.UNAVAILABLE:
                raise
            return None
        finally:
            self._give_back(octets, asked_for=True)

    def take_ready(self, message: StoredMessage, most: int) -> bytes | None:
        """The same without waiting; None where it isn't here, isn't verified yet, failed, or has over `most` octets."""
        if message.octets > most:
            return None
        return self._ready(message.sequence) if message.sequence in self._ahead else self.at_hand(message)

    def at_hand(self, message: StoredMessage) -> bytes | None:
        """A short message's verified octets, where the store has them at hand; what follows isn't read ahead, then."""
        if message.octets > AT_HAND_OCTETS:
            return None
        octets = self.retrieval.at_hand(message)
        self._near = octets is not None
        return octets

    def _ready(self, sequence: int) -> bytes | None:
        task, octets = self._ahead[sequence]
        if not task.done() or task.cancelled() or task.exception():
            return None
        del self._ahead[sequence]
        self._give_back(octets, asked_for=True)
        return task.result()

    def ahead_of(self, sequence: int, upcoming: Sequence[int]) -> None:
        """The client asked for `sequence`: fetch what follows if it reads in sequence, drop what it skipped."""
        in_sequence = self._expected is None or sequence == self._expected
        self._expected = upcoming[0] if upcoming else None
        self._in_a_row = self._in_a_row + 1 if in_sequence else 0
        if in_sequence:
            self.places.ask_ahead(upcoming)
        if self._near:
            self._keep_only(upcoming)
            return
        wanted = upcoming[: self._window()]
        self._keep_only(wanted)
        for following in wanted:
            message = self.places.known(following)
            if following not in self._ahead and not (message and self._fetch(message)):
                break

    def clear(self) -> None:
        """Drop everything fetched ahead."""
        for sequence in list(self._ahead):
            self._drop(sequence)

    def _window(self) -> int:
        if self._in_a_row > 1:
            return self.limits.messages
        return min(self.limits.messages, OPENING * self._in_a_row)

    def _keep_only(self, wanted: Sequence[int]) -> None:
        if self._ahead:
            for skipped in self._ahead.keys() - set(wanted):
                self._drop(skipped)

    def _fetch(self, message: StoredMessage) -> bool:
        octets = message.octets
        fits = message.blob.octets <= WHOLE_OCTETS and self._octets + octets <= self.limits.session_octets
        if not fits or not self.limits.process.try_take(octets, self.whose):
            return False
        self._octets += octets
        task = asyncio.get_running_loop().create_task(self.retrieval.whole(message))
        task.add_done_callback(partial(self._came, message.sequence))
        self._ahead[message.sequence] = (task, octets)
        return True

    def _came(self, sequence: int, task: Fetched) -> None:
        """Take note of a refusal nobody waits for yet; who had no turn to spare may have one at the next attempt."""
        error = None if task.cancelled() else task.exception()
        entry = self._ahead.get(sequence)
        refused = isinstance(error, Refusal) and error.reason is Reason.OVERLOADED
        if refused and entry is not None and entry[0] is task:
            self._drop(sequence)

    def _drop(self, sequence: int) -> None:
        task, octets = self._ahead.pop(sequence)
        task.cancel()
        self._give_back(octets, asked_for=False)

    def _give_back(self, octets: int, *, asked_for: bool) -> None:
        self._octets -= octets
        self.limits.process.give_back(octets, self.whose)
        self.limits.used(asked_for)
