"""Runs Poplar in this event loop: listeners, ops HTTP, renewal of leases, watch of certificates.

Owns the order of start and end. Refuses to know signals (`app/signals.py`) and commands (`cli/`). Postgres, Redis
and the store may all be away when it starts, and come later: clients are told so, and readiness doesn't depend on it.
"""

import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp

from service.app.background import background
from service.app.blobs import make_blobs
from service.app.certificates import watched_certificates
from service.app.events import event_stream
from service.app.limits import limits_of
from service.app.listening import Service, make_listeners, started
from service.app.shared import MEASURE_EVERY, Shared
from service.app.traces import open_tracer
from service.app.trimming import TRIM_EVERY, Trimming
from service.net.drain import Drain
from service.settings import Settings
from service.telemetry import later, limits, metrics
from service.telemetry.health import ops_app
from service.telemetry.http_metrics import CountedRequests
from service.telemetry.http_trace import TracedRequests
from service.telemetry.looplag import watch_loop_lag
from service.telemetry.registries import own_registry
from service.telemetry.serving import GRACE, serving
from service.telemetry.spans import Tracer
from service.telemetry.tasks import count_tasks

Role = Literal["pop3", "lmtp", "api"]
"""The protocols of listeners, and the HTTP API on the ops HTTP's port."""
ALPN: Mapping[Role, tuple[str, ...]] = {"pop3": ("pop3",), "lmtp": ()}

LISTENING = frozenset(ALPN)


@dataclass(frozen=True, slots=True)
class Running:
    """What is being served: each listener's bound address by its name, and the ops HTTP's base URL."""

    ports: Mapping[str, tuple[str, int]]
    http_url: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands: by itself, or as one worker of several."""

    http: bool = True
    """Whether it serves metrics and health itself."""
    reuse_port: bool = False
    """Whether it shares its ports with others."""


ALONE = Place()
WORKER = Place(http=False, reuse_port=True)


@asynccontextmanager
async def running(settings: Settings, roles: Collection[Role], place: Place = ALONE) -> AsyncIterator[Running]:
    """Serve the settings' listeners of these protocols until the block ends; then drain within the grace.

    Every listener answers once this yields. Raises OSError when a port is taken or no certificate can be loaded,
    SettingsError for what makes no sense. That other systems are away is no error: they may come later.
    """
    drain = Drain()
    async with AsyncExitStack() as stack:
        if not place.http:
            # After all else: the end of the last session is told of, and then the spans that nobody took.
            stack.push_async_callback(later.flush)
        tracer = await stack.enter_async_context(open_tracer(settings, roles))
        api = await stack.enter_async_context(_api(settings, tracer)) if "api" in roles else None
        url = await stack.enter_async_context(_ops_http(settings, drain, place, api))
        tasks = await stack.enter_async_context(background())
        tasks.start("loop lag", lambda: watch_loop_lag(metrics.loop_lag))
        tasks.every("metrics", later.FLUSH_EVERY, later.flush_many if place.http else later.flush)
        tasks.every("tasks", MEASURE_EVERY, count_tasks)
        events = await stack.enter_async_context(event_stream(settings, logins="pop3" in roles))
        shared = Shared(settings, make_blobs(settings.object_store), tasks, events, tracer)
        services: dict[str, Service] = {
            role: await _service(stack, shared, role) for role in sorted(LISTENING & set(roles))
        }
        # The stores outlive the tasks that use them.
        stack.push_async_callback(tasks.stop)
        limits.tell(limits_of(settings, roles))
        listeners = make_listeners(settings, services, place.reuse_port, shared.waiting)
        ports = await stack.enter_async_context(started(listeners, drain, settings))
        tasks.every("turns", MEASURE_EVERY, shared.waiting.measure)
        tasks.every("memory", TRIM_EVERY, Trimming().trim)
        yield Running({each.spec.name: (_reachable(each.spec.host), ports[each.spec.name]) for each in listeners}, url)


@asynccontextmanager
async def _api(settings: Settings, tracer: Tracer) -> AsyncIterator[ASGIApp]:
    # Its framework is large: a front end needn't hold it.
    from service.app.admin import admin_api

    async with admin_api(settings) as app:
        yield CountedRequests(TracedRequests(app, tracer))


@asynccontextmanager
async def _ops_http(settings: Settings, drain: Drain, place: Place, api: ASGIApp | None) -> AsyncIterator[str]:
    if not place.http:
        yield ""
        return
    app = ops_app(lambda: drain.phase.value, own_registry)
    if api is not None:
        app.mount("/", api)
    grace = GRACE if api is None else settings.drain.grace
    async with serving(app, settings.http.host, settings.http.port, grace) as url:
        yield url


async def _service(stack: AsyncExitStack, shared: Shared, role: Role) -> Service:
    # Each is imported for its own sake: LMTP has no use for what front ends stand on.
    if role == "pop3":
        from service.app.front import pop3_service as service
    else:
        from service.app.lmtp import lmtp_service as service

    return await stack.enter_async_context(service(shared, _context(shared, role)))


def _context(shared: Shared, role: Role) -> ssl.SSLContext | None:
    if not any(each.protocol == role and each.needs_certificate for each in shared.settings.listeners):
        return None
    tls = shared.settings.tls
    return watched_certificates(tls, ALPN[role], shared.tasks, tls.client_ca if role == "pop3" else None).context()


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in {"*", "0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
