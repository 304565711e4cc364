"""The history: one operation a line, as its client saw it begin and end.

Owns the record, how it is written by many clients at once, and how it is read back. Refuses to know what is right:
`tests.faults.checker` judges, offline, from these lines alone. Times are seconds of one monotonic clock, which all
processes of a machine share, or of a virtual one.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Literal, TextIO, get_args

Outcome = Literal["ok", "fail", "unknown"]
"""`unknown`: no whole answer came. A QUIT that is told that its outcome is unknown was answered: it is a `fail`."""

Said = Literal["login", "stat", "list", "uidl", "retr", "top", "dele", "rset", "noop", "quit", "dropped", "closed"]
Done = Literal["deliver", "password", "suspend", "resume", "kick", "fault", "mended", "final"]
Kind = Literal[Said, Done]

SAID = 200
"""Characters that are kept of what was said."""

NUMBERED = ("ids", "octets")
"""Facts whose keys are numbers; JSON has none but text."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one client asked for, and what it heard."""

    n: int
    """Its place in the history; a violation names its operations by it."""
    client: str
    kind: Kind
    began: float
    ended: float
    outcome: Outcome = "ok"
    said: str = ""
    """The first line of the answer."""
    session: str | None = None
    maildrop: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def precedes(self, other: "Operation") -> bool:
        """Whether this one was over before the other began: nothing else says which of two came first."""
        return self.ended < other.began


@dataclass
class Pending:
    """An operation that began. As a context, it is `unknown` at the end of the block unless it was ended within."""

    history: "Recorder"
    client: str
    kind: Kind
    session: str | None
    maildrop: str | None
    began: float
    facts: dict[str, Any]
    operation: Operation | None = None

    def end(self, outcome: Outcome, said: str | bytes = "", **facts: Any) -> Operation:
        """Note how it ended, now, with more facts. Once only."""
        assert self.operation is None, "this operation has ended"
        self.operation = self.history.write(self, outcome, said, {**self.facts, **facts})
        return self.operation

    def __enter__(self) -> "Pending":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.operation is None:
            self.end("unknown")


class Recorder:
    """Writes a history; for any number of threads, or of an event loop's clients."""

    def __init__(self, file: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0

    def begin(
        self, client: str, kind: Kind, session: str | None = None, maildrop: str | None = None, **facts: Any
    ) -> Pending:
        """An operation that begins now."""
        return Pending(self, client, kind, session, maildrop, self._clock(), facts)

    def note(self, client: str, kind: Kind, maildrop: str | None = None, **facts: Any) -> Operation:
        """What takes no time, or whose beginning doesn't matter: a fault, its mending, a dropped line."""
        return self.begin(client, kind, facts.pop("session", None), maildrop, **facts).end("ok")

    def write(self, pending: Pending, outcome: Outcome, said: str | bytes, facts: Mapping[str, Any]) -> Operation:
        """Number it and write its line, whole, so that the history ends well wherever the run is ended."""
        text = said.decode("ascii", "backslashreplace") if isinstance(said, bytes) else said
        text = text.rstrip("\r\n")[:SAID]
        whose = (pending.session, pending.maildrop)
        with self._lock:
            self._count += 1
            span = (pending.began, self._clock())
            operation = Operation(self._count, pending.client, pending.kind, *span, outcome, text, *whose, facts)
            self._file.write(json.dumps(asdict(operation), separators=(",", ":")) + "\n")
            self._file.flush()
        return operation


def read(lines: Iterable[str]) -> Sequence[Operation]:
    """The operations, in the order in which they ended. Raises ValueError for a line that is none."""
    found = [_parsed(line) for line in lines if line.strip()]
    return sorted(found, key=lambda one: (one.ended, one.n))


def _parsed(line: str) -> Operation:
    try:
        values = json.loads(line)
        operation = Operation(**{**values, "facts": _numbered(values["facts"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no operation: {line[:SAID]!r}") from error
    if operation.kind not in get_args(Kind) or operation.outcome not in get_args(Outcome):
        raise ValueError(f"no such kind or outcome: {line[:SAID]!r}")
    return operation


def _numbered(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts, with numbers where JSON had to write text."""
    return {name: _by_number(value) if name in NUMBERED else value for name, value in facts.items()}


def _by_number(value: Any) -> Any:
    return {int(number): each for number, each in value.items()} if isinstance(value, dict) else value
