"""Requests of the HTTP API as numbers: how many, how they were answered, how long they took.

Owns two metrics and what stands in their labels, closed sets (G17): never a path, which holds addresses. Refuses to
know the application. RFC 9110 §9 (methods), §15 (status codes).
"""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.labels import HTTP_METHODS, closed
from service.telemetry.later import Counter, Histogram
from service.telemetry.metrics import QUICK

OUTCOMES = frozenset({"ok", "refused", "failed", "cut"})
"""By the status' first digit: 2 and 3, 4, 5; cut is what ended without an answer, as its client went."""
CODES = frozenset(
    {"200", "201", "204", "400", "401", "403", "404", "405", "408", "409", "412", "413", "422", "429", "500", "503"}
)

_seconds = Histogram(
    "poplar_api_seconds",
    "Requests of the HTTP API, from the request to the end of its answer, by method and outcome",
    ["method", "outcome"],
    buckets=QUICK,
)
_responses = Counter("poplar_api_responses", "Answers of the HTTP API, by status code", ["code"])


class CountedRequests:
    """An ASGI application whose requests are counted and timed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # `increase()` does not see the first event of a series that begins with it.
        for code in CODES:
            _responses.labels(code)
        for outcome in OUTCOMES:
            _seconds.labels("GET", outcome)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implements ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            _count(scope["method"], status, time.monotonic() - began)


def _count(method: str, status: int, seconds: float) -> None:
    _seconds.labels(closed(method, HTTP_METHODS), _outcome(status)).observe(seconds)
    if status:
        _responses.labels(closed(str(status), CODES)).inc()


def _outcome(status: int) -> str:
    return {0: "cut", 4: "refused", 5: "failed"}.get(status // 100, "ok")
