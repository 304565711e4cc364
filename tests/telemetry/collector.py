"""A collector of traces on loopback: takes OTLP over HTTP, keeps the spans, and misbehaves on demand.

Owns what OTLP's own messages say of a span, in plain words for tests. Refuses to know Poplar.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.cli.conftest import await_true


@dataclass(frozen=True)
class Seen:
    """One span that was taken."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    begun: int
    ended: int
    error: str | None
    facts: dict[str, object]
    service: dict[str, object]


@dataclass
class Collector:
    """What came, and how the next request is answered: by a status, or not at all while `hanging`."""

    status: int = 200
    requests: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Seen]:
        """Every span so far, in the order of their beginnings."""
        return sorted((span for body in list(self.bodies) for span in _spans(body)), key=lambda span: span.begun)

    def await_spans(self, *names: str) -> list[Seen]:
        """Every span so far, once there is one of each of these names."""
        await_true(lambda: set(names) <= {span.name for span in self.spans}, f"spans {names}")
        return self.spans


def under(spans: Sequence[Seen], parent: Seen) -> list[Seen]:
    """The parts of `parent`."""
    return [span for span in spans if span.parent == parent.span_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, until the block ends."""
    collector = Collector()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(collector))
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests += 1
            if collector.hanging.is_set():
                collector.released.wait()
                return
            collector.headers.append(dict(self.headers))
            if collector.status == 200 and self.path == "/v1/traces":
                collector.bodies.append(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that its base gives it
            """Say nothing."""

    return Handler


def _spans(body: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _facts(resource.resource.attributes)
        for scope in resource.scope_spans:
            yield from (_seen(span, service) for span in scope.spans)


def _seen(span: trace_pb2.Span, service: dict[str, object]) -> Seen:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return Seen(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.message if failed else None,
        _facts(span.attributes),
        service,
    )


def _facts(pairs: Sequence[KeyValue]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
