"""Requests of the HTTP API as traces: each is one, begun by whoever asks if they trace themselves.

Owns what of a request may stand in a span: the method and the route's pattern, never a path, which holds addresses.
Refuses to know the application. W3C Trace Context §3.2 (traceparent); RFC 9110 §9 (methods), §15 (status codes).
"""

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.labels import HTTP_METHODS, closed
from service.telemetry.spans import Fact, Span, Tracer

SERVER_ERRORS = 500


class TracedRequests:
    """An ASGI application whose requests are traced; the log's lines of one carry the trace's id."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implements ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        span = self._tracer.begin("request", parent=Headers(scope=scope).get("traceparent", ""))
        told = {"trace_id": span.trace_id} if span.trace_id else {}
        with span, structlog.contextvars.bound_contextvars(**told):
            try:
                await self._app(scope, receive, noted)
            finally:
                _note(span, scope, status)


def _note(span: Span, scope: Scope, status: int) -> None:
    method = closed(scope["method"], HTTP_METHODS)
    # The pattern that the path matched below /v1, such as `/tenants/{tenant}`; none where no operation did.
    found = scope.get("route")
    route = str(getattr(found, "path_format", "")) if hasattr(found, "methods") else ""
    span.named(f"{method} {route}".rstrip())
    facts: dict[str, Fact] = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    span.note(**facts)
    if status >= SERVER_ERRORS:
        span.failed(str(status))
