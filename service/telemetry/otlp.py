"""Spans by OpenTelemetry: made by its SDK, sent by OTLP over HTTP from a thread of its own.

Owns the bounds: how many spans wait, how long a batch and the last flush may take; whatever the collector does, no
session waits for it. The only module that knows the vendor, and imported only where traces are on. Refuses to be the
tracer of the whole process: libraries that look for one would send spans of their own, with what they like in them.
W3C Trace Context §3.2 (traceparent).
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.model.refusal import FAULTS, Refusal
from service.telemetry.spans import CURRENT, NOTHING, Fact, Span

BATCH = 512
DELAY = 2.0
"""Seconds until a batch that isn't full is sent."""
NANO = 1_000_000_000
_LOTS = 1 << 32
_DATABASES: Mapping[str, str] = MappingProxyType({"postgres": "postgresql", "redis": "redis"})
"""What OpenTelemetry's conventions call the systems that they know."""
_NOBODY = Context()
_Told = Callable[[str, int], None]
"""Hears that so many spans came to `exported`, `overflow`, `failed` or `unflushed`."""


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Where spans go, and what they may cost. Times in seconds."""

    endpoint: str | None = None
    """The whole URL; None for what the environment says."""
    headers: Mapping[str, str] | None = None
    ca: str | None = None
    ratio: float = 1.0
    tenants: bool = False
    queue: int = 4096
    deadline: float = 5.0


class OtlpTracer:
    """Implements `spans.Tracer`. Close it in the end."""

    def __init__(self, service: Mapping[str, str], options: TraceOptions, told: _Told) -> None:
        """`service` is what OpenTelemetry calls a resource: who sends. The environment's word on it goes first."""
        # The SDK tells of each batch that is lost, with a traceback; `told` does so once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=options.endpoint,
            certificate_file=options.ca,
            headers=options.headers,
            timeout=options.deadline,
        )
        self._queue = _Queue(exporter, options.queue, told)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(options.ratio)),
            resource=Resource.create(dict(service)).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("poplar")
        self._tenants = options.tenants
        self._ratio = options.ratio

    def begin(self, name: str, ago: float = 0.0, parent: str = "") -> Span:
        """As `spans.Tracer` says."""
        context = TraceContextTextMapPropagator().extract({"traceparent": parent}, _NOBODY) if parent else _NOBODY
        # Whoever reaches the API can send a `traceparent`, before a token is shown: it gets no more than its share. One
        # that means nothing has no share: the sampler draws for it as for none.
        if trace.get_current_span(context).get_span_context().is_valid and not self._drawn():
            return NOTHING
        span = self._tracer.start_span(name, context, SpanKind.SERVER, start_time=_before(ago))
        return OtlpSpan(self._tracer, span, self._tenants) if span.is_recording() else NOTHING

    def _drawn(self) -> bool:
        # Not by the trace's id, which whoever asks may choose.
        return secrets.randbelow(_LOTS) < self._ratio * _LOTS

    def close(self, seconds: float) -> bool:
        """Send what waits, for so many seconds at most; whether all of it was taken. Blocks, so call it in a thread."""
        # The SDK's own shutdown waits for as long as it takes: it goes on in a thread that the process's end stops.
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(seconds)
        return self._queue.settle()


class OtlpSpan:
    """Implements `spans.Span`."""

    __slots__ = ("_outer", "_span", "_tenants", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span, tenants: bool) -> None:
        self._tracer = tracer
        self._span = span
        self._tenants = tenants
        self._outer: Span = NOTHING

    @property
    def trace_id(self) -> str:
        """As `spans.Span` says."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def __enter__(self) -> Span:
        self._outer = CURRENT.get()
        CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """As `spans.Span` says."""
        # Not by a token: a generator may be closed in another context than the one it was begun in.
        CURRENT.set(self._outer)
        if isinstance(error, Refusal):
            self.refused(error)
        elif kind is not None:
            self._broke_off(kind)
        self._span.end()

    def step(self, name: str, system: str = "") -> Span:
        """As `spans.Span` says."""
        return OtlpSpan(self._tracer, self._child(name, system, None), self._tenants)

    def past(self, name: str, seconds: float, system: str = "", /, **facts: Fact) -> None:
        """As `spans.Span` says."""
        now = time.time_ns()
        span = self._child(name, system, now - int(seconds * NANO))
        OtlpSpan(self._tracer, span, self._tenants).note(**facts)
        span.end(now)

    def note(self, **facts: Fact) -> None:
        """As `spans.Span` says; a tenant is noted only where that is wanted."""
        for name, value in facts.items():
            if name != "tenant" or self._tenants:
                self._span.set_attribute(name if "." in name else f"poplar.{name}", value)

    def refused(self, refusal: Refusal) -> None:
        """As `spans.Span` says; an error where whoever runs the service should hear of it."""
        self.note(refusal=refusal.reason.value)
        if refusal.reason in FAULTS:
            self._span.set_status(Status(StatusCode.ERROR, refusal.reason.value))

    def failed(self, kind: str) -> None:
        """As `spans.Span` says."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, kind))

    def named(self, name: str) -> None:
        """As `spans.Span` says."""
        self._span.update_name(name)

    def end(self, ago: float = 0.0) -> None:
        """As `spans.Span` says."""
        self._span.end(_before(ago))

    def _broke_off(self, kind: type[BaseException]) -> None:
        """Only the error's kind is told: its text may hold anything."""
        # A client that is gone, or a caller that gave up, is no fault.
        if issubclass(kind, ConnectionError) or not issubclass(kind, Exception):
            self._span.set_attribute("error.type", kind.__name__)
        else:
            self.failed(kind.__name__)

    def _child(self, name: str, system: str, begun: int | None) -> trace.Span:
        context = trace.set_span_in_context(self._span, _NOBODY)
        kind = SpanKind.CLIENT if system else SpanKind.INTERNAL
        facts = {"peer.service": system} if system else None
        if facts and system in _DATABASES:
            facts["db.system.name"] = _DATABASES[system]
        return self._tracer.start_span(name, context, kind, facts, start_time=begun)


class _Queue(SpanProcessor):
    """A bounded queue that says what it lost, before the SDK's own, which keeps silent about it.

    Spans are taken on the event loop's thread and sent on the SDK's: each counts for itself, so that no lock is needed.
    """

    def __init__(self, exporter: SpanExporter, most: int, told: _Told) -> None:
        self._most = most
        self._told = told
        self._taken = 0
        self._exporter = _Counting(exporter, told)
        self._batches = BatchSpanProcessor(self._exporter, most, 1000 * DELAY, min(BATCH, most))

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, or drop it and say so."""
        if self._taken - self._exporter.sent >= self._most:
            self._told("overflow", 1)
            return
        self._taken += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what waits."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def settle(self) -> bool:
        """Give up on what still waits, and say how much; whether there is none."""
        left = self._taken - self._exporter.sent
        if left:
            self._told("unflushed", left)
        return not left


class _Counting(SpanExporter):
    """Another exporter, and how many spans it is done with."""

    def __init__(self, exporter: SpanExporter, told: _Told) -> None:
        self._exporter = exporter
        self._told = told
        self.sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them, and say what came of it."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._told("exported" if result is SpanExportResult.SUCCESS else "failed", len(spans))
            self.sent += len(spans)
        return result

    def shutdown(self) -> None:
        """As the exporter's."""
        self._exporter.shutdown()


def _before(seconds: float) -> int:
    """The moment so many seconds ago, in Unix nanoseconds."""
    return time.time_ns() - int(seconds * NANO)
