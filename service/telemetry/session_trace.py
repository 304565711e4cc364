"""The traces of a connection: which of its steps stand together, and when each trace begins and ends.

Owns that sampling is decided when the first step waits, so that balancers which only look whether the port answers
make no traces, and that no trace grows without end. Refuses to know protocols. `deploy/decisions/traces.md` says why.
"""

import time
from collections.abc import Callable

from service.telemetry.spans import CURRENT, NOTHING, UNTRACED, Fact, Span, Tracer, Untraced

MOST_STEPS = 200
"""Steps of one trace: viewers and collectors refuse larger ones, and a session may retrieve ten thousand messages."""


class SessionTrace:
    """A POP3 session's: its first span ends with the greeting, and what waits later hangs on it.

    So it can be seen while the session goes on, for hours perhaps, and if its process is killed. After MOST_STEPS
    another trace begins, sampled for itself; `poplar.session` joins them.
    """

    __slots__ = ("_arrived", "_began", "_facts", "_name", "_root", "_told", "_tracer", "steps")

    def __init__(self, tracer: Tracer, name: str, told: Callable[[str], None], **facts: Fact) -> None:
        """`told` hears the id of each trace, and nothing where it isn't recorded."""
        self._tracer = None if isinstance(tracer, Untraced) else tracer
        self._name = name
        self._told = told
        self._facts = facts
        self._root: Span = NOTHING
        self.steps = 0
        """How many were told; 0 where nothing is recorded."""
        self._began = self._arrived = time.monotonic()

    def arrived(self) -> None:
        """The client is greeted."""
        self._arrived = time.monotonic()

    def step(self, name: str) -> Span:
        """What the session waits for now."""
        if self._tracer is None:
            return NOTHING
        if self.steps % MOST_STEPS == 0:
            self._begin(self._tracer)
            self._root.end(time.monotonic() - self._arrived)
        self.steps += 1
        return self._root.step(name)

    def ended(self, **facts: Fact) -> None:
        """The connection is gone."""
        if self.steps:
            self._root.past("end of session", 0.0, **facts)

    def _begin(self, tracer: Tracer) -> None:
        now = time.monotonic()
        if self.steps:
            self._began = self._arrived = now
        self._root = tracer.begin(self._name, now - self._began)
        self._root.note(**self._facts)
        self._told(self._root.trace_id)


NO_TRACE = SessionTrace(UNTRACED, "", lambda _: None)
"""That of every session where nothing is traced: it keeps nothing of any."""


class TransactionTrace(SessionTrace):
    """An LMTP transaction's: its first span lasts from the first recipient to the outcome."""

    __slots__ = ()

    def step(self, name: str) -> Span:
        """What the transaction waits for now."""
        if self._tracer is None:
            return NOTHING
        if self.steps % MOST_STEPS == 0:
            self._root.end()
            self._began = time.monotonic()
            self._begin(self._tracer)
        self.steps += 1
        return self._root.step(name)

    def inside(self) -> None:
        """What this task begins from now on belongs to the whole transaction, and to no step of it."""
        CURRENT.set(self._root)

    def ended(self, **facts: Fact) -> None:
        """The transaction is over, or its connection gone; the next step begins another."""
        if self.steps:
            self._root.note(**facts)
            self._root.end()
        self._root, self.steps = NOTHING, 0
