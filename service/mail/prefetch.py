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

TOGETHER = 8
"""Messages of a window that may be missing before it is looked through, which costs as much as to ask for one."""
OPENING = 8
"""Messages fetched ahead of the first one that is read: many clients read only one. Who reads on gets all there may be.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What fetching ahead may use: octets of one session, octets of the process, messages of one session."""

    session_octets: int
    process: Budget
    messages: int = 64
    used: Callable[[bool], None] = lambda _: None
    """Told of each message fetched ahead whether it was asked for."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A message on its way."""

    fetched: "asyncio.Future[bytes]"
    octets: int
    """What it holds of the budgets."""
    unproven: StoredMessage | None = None
    """The message whose octets will come, where they will not be verified."""
    since: float = 0.0

    @property
    def tried_enough(self) -> bool:
        """Whether a failure comes after repetitions, or after as long as one may wait: no other try is due."""
        return self.unproven is None or self.fetched.cancelled()

    def given(self, retrieval: Retrieval) -> bytes | None:
        """What came, verified; None where that isn't the message. Raises what it failed with."""
        octets = self.fetched.result()
        return octets if self.unproven is None else retrieval.proven(self.unproven, octets)


@dataclass(slots=True)
class Prefetch:
    """What one session has fetched ahead."""

    places: Places
    retrieval: Retrieval
    limits: Limits
    whose: Whose = None
    """Against whose share of the process's octets this counts."""
    _ahead: dict[int, Ahead] = field(default_factory=dict)
    _octets: int = 0
    _expected: int | None = None
    _in_a_row: int = 0
    _near: bool = field(init=False)
    """Whether short messages are taken to be at hand in the store, as the last one was: then nothing is read ahead."""

    def __post_init__(self) -> None:
        self._near = self.retrieval.near is not None

    async def take(self, sequence: int) -> bytes | None:
        """The message's verified octets if they were fetched ahead; None to fetch it now, also where that had failed.

        What was begun so long ago that nobody may wait for it any more is dropped: the store may serve again by now.
        Raises Refusal(UNAVAILABLE) when the store fails all that it may while it is waited for: trying all over again
        would double what the client waits.
        """
        ahead = self._ahead.pop(sequence, None)
        if ahead is None:
            return None
        under_way = not ahead.fetched.done()
        try:
            if under_way and self._late(ahead):
                ahead.fetched.cancel()
                return None
            if under_way:
                await self._wait(ahead)
            return ahead.given(self.retrieval)
        except Refusal as refusal:
            if under_way and refusal.reason is Reason.UNAVAILABLE and ahead.tried_enough:
                raise
            return None
        finally:
            self._give_back(ahead.octets, asked_for=True)

    def _late(self, ahead: Ahead) -> bool:
        """Whether the store gave nothing for as long as one may wait, before anybody waited."""
        until = ahead.since + self.retrieval.resumption.patience
        return ahead.unproven is not None and asyncio.get_running_loop().time() >= until

    async def _wait(self, ahead: Ahead) -> None:
        """Until it came. Raises Refusal(UNAVAILABLE) where the store gives nothing for as long as one may wait."""
        if ahead.unproven is None:
            await ahead.fetched
            return
        try:
            async with asyncio.timeout_at(ahead.since + self.retrieval.resumption.patience):
                await ahead.fetched
        except TimeoutError:
            raise Refusal(Reason.UNAVAILABLE, f"message {ahead.unproven.sequence}: nothing in time") from None

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
        ahead = self._ahead[sequence]
        fetched = ahead.fetched
        if not fetched.done() or fetched.cancelled() or fetched.exception():
            return None
        octets = ahead.given(self.retrieval)
        if octets is not None:
            del self._ahead[sequence]
            self._give_back(ahead.octets, asked_for=True)
        return octets

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
        window = self._window()
        if in_sequence and window - TOGETHER < len(self._ahead) and len(upcoming) >= window:
            return
        self._fill(upcoming[:window])

    def _fill(self, wanted: Sequence[int]) -> None:
        self._keep_only(wanted)
        for following in wanted:
            if following not in self._ahead:
                message = self.places.known(following)
                if message is None or not self._fetch(message):
                    return

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
        try:
            ahead = self._begun(message, octets)
        except Refusal:
            # There is no turn to spare; there may be one at the next attempt.
            self.limits.process.give_back(octets, self.whose)
            return False
        self._octets += octets
        self._ahead[message.sequence] = ahead
        return True

    def _begun(self, message: StoredMessage, octets: int) -> Ahead:
        """Begin to fetch it. Raises Refusal."""
        begun = self.retrieval.begin(message)
        loop = asyncio.get_running_loop()
        if begun is not None:
            return Ahead(begun, octets, message, loop.time())
        task = loop.create_task(self.retrieval.whole(message))
        task.add_done_callback(partial(self._came, message.sequence))
        return Ahead(task, octets)

    def _came(self, sequence: int, task: "asyncio.Task[bytes]") -> None:
        """Take note of a refusal nobody waits for yet; who had no turn to spare may have one at the next attempt."""
        error = None if task.cancelled() else task.exception()
        ahead = self._ahead.get(sequence)
        refused = isinstance(error, Refusal) and error.reason is Reason.OVERLOADED
        if refused and ahead is not None and ahead.fetched is task:
            self._drop(sequence)

    def _drop(self, sequence: int) -> None:
        ahead = self._ahead.pop(sequence)
        ahead.fetched.cancel()
        self._give_back(ahead.octets, asked_for=False)

    def _give_back(self, octets: int, *, asked_for: bool) -> None:
        self._octets -= octets
        self.limits.process.give_back(octets, self.whose)
        self.limits.used(asked_for)
