"""How a store tells what its calls came to, without knowing who counts.

Owns the shape that `telemetry.watching` fulfils, and the deadline that every call to another system has.
Refuses to know labels' sets, Prometheus and vendors: a store names its errors itself.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from service.model.refusal import Reason, Refusal
from service.telemetry.spans import NOTHING, Span


class Observer(Protocol):
    """Counts the calls to another system, by vendor, and shows them in the trace of whoever they are made for."""

    def call(self, vendor: str, name: str) -> Span:
        """A call of this name begins; it ends with the span's block."""

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

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        """Forget it."""

    def store_failed(self, vendor: str, kind: str) -> None:
        """Forget it."""

    def blob_first_octets(self, seconds: float) -> None:
        """Forget it."""

    def blob_read(self, seconds: float) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls to one vendor; `kind_of` names the kind of a vendor's error."""

    vendor: str
    observer: Observer
    kind_of: Callable[[BaseException], str]

    @contextmanager
    def observed(self, name: str) -> Iterator[Span]:
        """Count what happens inside as a call of this `name`; only a Refusal (or a cancellation) gets out of it."""
        started = time.monotonic()
        with self.observer.call(self.vendor, name) as span:
            try:
                yield span
            except Refusal:
                self.observer.store_called(self.vendor, "refused", time.monotonic() - started)
                raise
            except asyncio.CancelledError:
                raise
            except Exception as error:
                kind = self.kind_of(error)
                span.note(kind=kind)
                self._failed(error, kind, started)
        self.observer.store_called(self.vendor, "ok", time.monotonic() - started)

    def _failed(self, error: Exception, kind: str, started: float) -> NoReturn:
        self.observer.store_called(self.vendor, "failed", time.monotonic() - started)
        self.observer.store_failed(self.vendor, kind)
        # A vendor's text may hold a key or an address, so it stays in the chained exception, out of the cause.
        raise Refusal(Reason.UNAVAILABLE, f"{self.vendor}: {kind}") from error
