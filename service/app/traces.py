"""The tracer of a process, as the settings want it.

Owns what a process calls itself to the collector, when OpenTelemetry is loaded, and the short while that its last
spans get. Refuses to know what is traced.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from service.app.identity import this_process
from service.settings import Settings, SettingsError
from service.settings.errors import Problem
from service.settings.traces import TracesSettings
from service.telemetry import span_metrics
from service.telemetry.build import VERSION
from service.telemetry.logs import get_log
from service.telemetry.spans import Tracer, Untraced

if TYPE_CHECKING:
    from service.telemetry.otlp import OtlpTracer, TraceOptions

PATH = "/v1/traces"
"""Where a collector takes traces (OTLP, "OTLP/HTTP Request")."""
QUIET_SECONDS = 60.0
NAMES = {"pop3": "front", "lmtp": "lmtp", "api": "api"}


@asynccontextmanager
async def open_tracer(settings: Settings, roles: Collection[str]) -> AsyncIterator[Tracer]:
    """The tracer of a process with these roles; its last spans are sent when the block ends. Raises SettingsError."""
    if not settings.traces.enabled:
        yield Untraced()
        return
    tracer = _tracer(settings.traces, roles)
    try:
        yield tracer
    finally:
        await _close(tracer, settings.traces.flush)


def _tracer(settings: TracesSettings, roles: Collection[str]) -> "OtlpTracer":
    # Its libraries are large: a process without traces needn't hold them.
    from service.telemetry.otlp import OtlpTracer

    names = [NAMES[role] for role in roles]
    service = {
        "service.name": f"poplar-{names[0]}" if len(names) == 1 else "poplar",
        "service.version": VERSION,
        "service.instance.id": this_process(),
    }
    try:
        return OtlpTracer(service, options_of(settings), Telling())
    except (OSError, ValueError) as error:
        raise SettingsError([Problem("traces", f"can't be used: {error}")]) from None


def options_of(settings: TracesSettings) -> "TraceOptions":
    """The settings in the tracer's words. Raises SettingsError."""
    from service.telemetry.otlp import TraceOptions

    if settings.ca is not None and not os.access(settings.ca, os.R_OK):
        raise SettingsError([Problem("traces.ca", "can't be read")])
    return TraceOptions(
        endpoint=whole_url(settings.endpoint) if settings.endpoint else None,
        headers=_headers(settings.headers.get_secret_value()) if settings.headers else None,
        ca=str(settings.ca) if settings.ca else None,
        ratio=settings.ratio,
        tenants=settings.tenants,
        queue=settings.queue,
        deadline=settings.deadline,
    )


def whole_url(endpoint: str) -> str:
    """`endpoint`, with the usual path where it has none."""
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + PATH


def _headers(text: str) -> dict[str, str]:
    """The headers in `name=value,name=value`, whose values are percent-encoded, as in OTEL_EXPORTER_OTLP_HEADERS."""
    pairs = (each.partition("=") for each in text.split(",") if each.strip())
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


async def _close(tracer: "OtlpTracer", seconds: float) -> None:
    """Send what waits, in a thread that a collector which hangs can't make the process wait for.

    A thread that fails says so by itself and ends the wait.
    """
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[bool] = loop.create_future()

    def close() -> None:
        taken = False
        try:
            taken = tracer.close(seconds)
        finally:
            loop.call_soon_threadsafe(closed.set_result, taken)

    threading.Thread(target=close, name="close tracer", daemon=True).start()
    if not await closed:
        get_log("traces").warning("spans were not taken before the end")


class Telling:
    """Tells the metrics what became of spans, and the log that some are lost: at most once in QUIET_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until = 0.0

    def __call__(self, outcome: str, count: int) -> None:
        """So many spans came to this."""
        span_metrics.told(outcome, count)
        now = self._clock()
        if outcome != "exported" and now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            get_log("traces").warning("spans are lost", outcome=outcome)
