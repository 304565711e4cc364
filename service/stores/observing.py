"""How a store tells what its calls came to, without knowing who counts.

Owns the shape that `telemetry.watching` fulfils, and the deadline that every call to another system has.
Refuses to know labels' sets, Prometheus and vendors: a store names its errors itself.
"""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Protocol

from service.model.refusal import Reason, Refusal
from service.telemetry.spans import CURRENT, NOTHING, Span


class Observer(Protocol):
    """Counts the calls to another system, by vendor, and shows them in the trace of whoever they are made for."""

    def call(self, vendor: str, name: str) -> Span:
        """A call of this name begins, on behalf of a step that is recorded; it ends with the span's block."""

    def well(self, vendor: str) -> Callable[[float], None]:
        """What hears of each call that ended `ok`, as nearly all do: after how many seconds."""

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        """A call ended `ok`, `refused` (as it should be) or `failed`."""

    def store_failed(self, vendor: str, kind: str) -> None:
        """A call failed for this kind of error."""

    def blob_first_octets(self, seconds: float) -> None:
        """A blob's first octets arrived after `seconds`."""

    def blob_read(self, seconds: float) -> None:
        """A blob was read to its end after `seconds`."""


class Unobserved:
    """An observer that counts nothing."""

    def call(self, vendor: str, name: str) -> Span:
        """Nothing to end."""
        return NOTHING

    def well(self, vendor: str) -> Callable[[float], None]:
        """What forgets it, too."""
        return partial(self.store_called, vendor, "ok")

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        """Forget it."""

    def store_failed(self, vendor: str, kind: str) -> None:
        """Forget it."""

    def blob_first_octets(self, seconds: float) -> None:
        """Forget it."""

    def blob_read(self, seconds: float) -> None:
        """Forget it."""


class Calls:
    """Calls to one vendor; `kind_of` names the kind of a vendor's error, `words_for` what may be told of it besides."""

    __slots__ = ("kind_of", "observed", "observer", "vendor", "well", "words_for")

    def __init__(
        self,
        vendor: str,
        observer: Observer,
        kind_of: Callable[[BaseException], str],
        words_for: Callable[[BaseException], str] = lambda _: "",
    ) -> None:
        self.vendor = vendor
        self.observer = observer
        self.kind_of = kind_of
        self.words_for = words_for
        self.well = observer.well(vendor)
        self.observed: Callable[[str], Observed] = partial(Observed, self)
        """Counts what happens inside as a call of this name; only a Refusal (or a cancellation) gets out of it."""


class Observed:
    """One call, entered with `with`: a class, as a generator would cost several times as much on every login's way."""

    __slots__ = ("_calls", "_span", "_started")

    def __init__(self, calls: Calls, name: str) -> None:
        self._calls = calls
        self._span: Span = NOTHING if CURRENT.get() is NOTHING else calls.observer.call(calls.vendor, name)
        self._started = time.monotonic()

    def __enter__(self) -> Span:
        return self._span if self._span is NOTHING else self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell what it came to; a cancelled call came to nothing. Raises what `ended` does."""
        if error is None and self._span is NOTHING:
            self._calls.well(time.monotonic() - self._started)
            return
        try:
            self.ended(error)
        except Refusal as refusal:
            self._span.__exit__(Refusal, refusal, traceback)
            raise
        self._span.__exit__(kind, error, traceback)

    def ended(self, error: BaseException | None) -> None:
        """Count it. Raises Refusal(UNAVAILABLE) instead of a vendor's error."""
        if error is None:
            self.told("ok")
        elif isinstance(error, Refusal):
            self.told("refused")
        elif isinstance(error, Exception):
            why = self._calls.kind_of(error)
            self.failed(why)
            words = self._calls.words_for(error)
            # A vendor's text may hold a key or an address, so it stays in the chained exception, out of the cause.
            cause = f"{self._calls.vendor}: {why}" + (f": {words}" if words else "")
            raise Refusal(Reason.UNAVAILABLE, cause) from error

    def told(self, outcome: str) -> None:
        """Say that it is over."""
        self._calls.observer.store_called(self._calls.vendor, outcome, time.monotonic() - self._started)

    def failed(self, kind: str) -> None:
        """Say that it failed for this kind of error."""
        self.told("failed")
        self._calls.observer.store_failed(self._calls.vendor, kind)
        self._span.note(kind=kind)
