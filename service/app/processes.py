"""What each command that serves runs, from its start to its last signal.

Owns the event loop (uvloop), the logs' beginning and the way signals reach the drain. Refuses to know listeners.
"""

import asyncio
import os
import resource
from collections.abc import Collection, Coroutine
from typing import TypeVar
from urllib.parse import urlsplit

import uvloop

from service.app.channel import WorkerEnd
from service.app.garbage import keep_what_is_there
from service.app.large_pages import LargePagesError, use_large_pages
from service.app.running import ALONE, WORKER, Place, Role, Running, running
from service.app.signals import Stop
from service.app.workers import supervise
from service.settings import Settings, SettingsError
from service.settings.errors import Problem
from service.telemetry.build import VERSION
from service.telemetry.escaping import log_what_escapes
from service.telemetry.logs import configure, get_log

T = TypeVar("T")


def run_front_end(settings: Settings) -> None:
    """Serve POP3 until a signal, then drain. Raises OSError, SettingsError."""
    _need_listener(settings, "pop3")
    _run(settings, _until_signal(settings, {"pop3"}))


def run_lmtp(settings: Settings) -> None:
    """Take deliveries until a signal, then drain. Raises OSError, SettingsError."""
    _need_listener(settings, "lmtp")
    _run(settings, _until_signal(settings, {"lmtp"}))


def run_api(settings: Settings) -> None:
    """Serve the HTTP API until a signal, then drain. Raises OSError, SettingsError."""
    _run(settings, _until_signal(settings, {"api"}))


def run_workers(settings: Settings, count: int, role: Role) -> int:
    """Serve POP3 or LMTP by `count` processes until a signal; the exit code. Raises OSError, SettingsError."""
    _need_listener(settings, role)
    return _run(settings, supervise(settings, count, role))


def run_worker(settings: Settings, descriptor: int, role: Role) -> None:
    """Be one of those processes; `descriptor` leads to the supervisor."""
    _run(settings, _until_signal(settings, {role}, WORKER, descriptor))


def run_sweep(settings: Settings, loop: bool) -> str | None:
    """Sweep once and return what was done, or again and again until a signal. Raises Refusal(UNAVAILABLE)."""
    from service.app.sweeping import sweep_once, sweep_until_signal

    return _run(settings, sweep_until_signal(settings) if loop else sweep_once(settings))


def _need_listener(settings: Settings, protocol: Role) -> None:
    if not any(each.protocol == protocol for each in settings.listeners):
        raise SettingsError([Problem("listeners", f"must have one whose protocol is {protocol}")])


def _run(settings: Settings, work: Coroutine[object, object, T]) -> T:
    configure(settings.logging.format, settings.logging.level)
    log_what_escapes()
    allow_open_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def allow_open_files() -> None:
    """Use as many open files as the machine permits: the usual soft limit is 1024, far under `limits.connections`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _use_large_pages() -> None:
    log = get_log("process")
    try:
        log.info("large pages", octets=use_large_pages())
    except (LargePagesError, OSError) as error:
        log.warning("no large pages", cause=str(error))


def open_at(settings: Settings, served: Running) -> dict[str, object]:
    """The hosts as they were set and the ports: "*" is every address, where a way to get there would say 127.0.0.1."""
    hosts = {each.name: each.host for each in settings.listeners}
    listeners = {name: f"{hosts[name]}:{port}" for name, (_, port) in served.ports.items()}
    port = urlsplit(served.http_url).port
    return {"listeners": listeners, "http": f"http://{settings.http.host}:{port}" if port else ""}


async def _until_signal(
    settings: Settings, roles: Collection[Role], place: Place = ALONE, descriptor: int | None = None
) -> None:
    stop = Stop.on_signals()
    supervisor = WorkerEnd(descriptor) if descriptor is not None else None
    if supervisor is not None:
        supervisor.watch(stop.set)
    log = get_log("process")
    if settings.process.large_pages:
        _use_large_pages()
    async with running(settings, roles, place) as served:
        keep_what_is_there()
        log.info("serving", version=VERSION, pid=os.getpid(), **open_at(settings, served))
        if supervisor is not None:
            supervisor.ready()
        await stop.wait()
        log.info("draining")
    log.info("ended")
