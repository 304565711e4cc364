"""Spans: what a step of a traced session waits for, and for how long.

Owns where the running step is known, so that whoever is called on its behalf adds to it without being handed anything,
and that where nothing is traced this costs a look at a context variable. Refuses to know a vendor, and facts that
aren't words of ours or numbers: no name, address, key or value, and no text of another system's (G17).
"""

from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

from service.model.refusal import Refusal

Fact = str | int | float | bool


class Span(Protocol):
    """One step. Entered, it is the running one until its block ends, and ends with it."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty where nothing is recorded."""

    def __enter__(self) -> "Span":
        """Begin to be the running step."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; a refusal or an error is noted by its kind."""

    def step(self, name: str, system: str = "") -> "Span":
        """A part of this one that begins now: a call of `system`, or something of our own."""

    def past(self, name: str, seconds: float, system: str = "", /, **facts: Fact) -> None:
        """A part of this one that took `seconds` and ends now."""

    def note(self, **facts: Fact) -> None:
        """Facts about it."""

    def refused(self, refusal: Refusal) -> None:
        """It came to this refusal, whose cause stays out."""

    def failed(self, kind: str) -> None:
        """It failed, for this kind of error."""

    def named(self, name: str) -> None:
        """It is called this, as turned out since it began."""

    def end(self, ago: float = 0.0) -> None:
        """It is over, or was so many seconds ago. For one that was never entered."""


class Nothing:
    """Implements `Span` where nothing is recorded."""

    __slots__ = ()
    trace_id = ""

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing ends."""

    def step(self, name: str, system: str = "") -> "Nothing":
        """Itself."""
        return self

    def past(self, name: str, seconds: float, system: str = "", /, **facts: Fact) -> None:
        """Forget it."""

    def note(self, **facts: Fact) -> None:
        """Forget them."""

    def refused(self, refusal: Refusal) -> None:
        """Forget it."""

    def failed(self, kind: str) -> None:
        """Forget it."""

    def named(self, name: str) -> None:
        """Forget it."""

    def end(self, ago: float = 0.0) -> None:
        """Nothing ends."""


NOTHING = Nothing()
CURRENT: ContextVar[Span] = ContextVar("span", default=NOTHING)
"""The running step. A task inherits it from whoever began the task, and so may outlive the step it belongs to."""


class Tracer(Protocol):
    """Begins traces."""

    def begin(self, name: str, ago: float = 0.0, parent: str = "") -> Span:
        """The first span of a trace, begun so many seconds ago; `NOTHING` where this one isn't sampled.

        `parent` is a `traceparent` (W3C Trace Context, §3.2), whose trace goes on in this one: where it isn't sampled,
        neither is this; where it is, no more often than others are, since a stranger may have written it.
        """


class Untraced:
    """A tracer that records nothing."""

    def begin(self, name: str, ago: float = 0.0, parent: str = "") -> Span:
        """Nothing."""
        return NOTHING


UNTRACED = Untraced()


def recording() -> bool:
    """Whether the running step is recorded."""
    return CURRENT.get() is not NOTHING


def step(name: str, system: str = "") -> Span:
    """A part of the running step that begins now."""
    return CURRENT.get().step(name, system)


def call(system: str, name: str) -> Span:
    """A call of another system on behalf of the running step; implements `stores.observing.Observer`."""
    return CURRENT.get().step(f"{system} {name}", system)


def past(name: str, seconds: float, system: str = "", /, **facts: Fact) -> None:
    """A part of the running step took `seconds` and ends now."""
    CURRENT.get().past(name, seconds, system, **facts)


def note(**facts: Fact) -> None:
    """Facts about the running step."""
    CURRENT.get().note(**facts)


def refused(refusal: Refusal) -> None:
    """The running step came to this refusal."""
    CURRENT.get().refused(refusal)
