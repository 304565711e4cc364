"""`poplar serve --workers N` and `poplar lmtp --workers N`: a supervisor and N processes that share the ports.

For machines without Kubernetes. Owns the workers' life: start, restart with back-off, end. Serves the metrics of all
together, and readiness. Refuses to accept a client itself. Linux spreads connections over the sockets that share a port
(SO_REUSEPORT).
"""

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.app.channel import SupervisorEnd
from service.app.ports import reserved
from service.app.running import Role
from service.app.signals import Stop
from service.settings import Settings
from service.settings.listening import ListenerSettings
from service.telemetry.health import State, ops_app
from service.telemetry.logs import get_log
from service.telemetry.registries import worker_environment, worker_gone, workers_registry
from service.telemetry.serving import serving

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A worker that lived this long failed for a new reason: the back-off begins anew."""
COMMANDS: Mapping[Role, str] = {"pop3": "serve", "lmtp": "lmtp"}
KILL_MARGIN = 13.0
"""Seconds beyond what a drain and the sinks after it may take until a worker is killed."""


@dataclass(eq=False)
class Crew(Collector):
    """The workers: what they are started with and how many are ready."""

    settings: Settings
    role: Role
    folder: Path
    environment: dict[str, str]
    stop: Stop
    ready: set[int] = field(default_factory=set)
    was_ready: bool = False
    restarts: int = 0
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    def state(self) -> State:
        """Ready while at least one worker is."""
        if self.stop.asked:
            return "draining"
        return "ready" if self.ready else "starting"

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told of the crew itself; implements its `Collector`."""
        yield GaugeMetricFamily("poplar_workers", "Workers that are ready", len(self.ready))
        yield CounterMetricFamily("poplar_worker_restarts", "Workers started in place of one that ended", self.restarts)

    def metrics(self) -> CollectorRegistry:
        """The metrics of all workers, and of the crew."""
        registry = workers_registry(self.folder)
        registry.register(self)
        return registry

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every worker that still runs."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


async def supervise(settings: Settings, count: int, role: Role) -> int:
    """Run `count` workers of this role until a signal; the exit code.

    Raises OSError when a port is taken. A worker that fails before any was ever ready ends the whole.
    """
    stop = Stop.on_signals()
    with reserved(settings.listeners, role) as listeners, _shared_folder() as folder:
        environment = worker_environment(folder)
        environment["POPLAR_LISTENERS"] = json.dumps([listener.model_dump(mode="json") for listener in listeners])
        crew = Crew(settings, role, folder, environment, stop)
        app = ops_app(crew.state, crew.metrics)
        async with serving(app, settings.http.host, settings.http.port) as url:
            get_log("supervisor").info("supervising", workers=count, http=url, listeners=_ports(listeners))
            codes = await _run_all(crew, count)
    return next((code for code in codes if code), 0)


def _ports(listeners: Sequence[ListenerSettings]) -> dict[str, int]:
    return {listener.name: listener.port for listener in listeners}


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="poplar-metrics-") as name:
        yield Path(name)


async def _run_all(crew: Crew, count: int) -> list[int]:
    keepers = [asyncio.create_task(_keep(crew, number), name=f"worker {number}") for number in range(count)]
    await crew.stop.wait()
    crew.signal(signal.SIGTERM)
    _, late = await asyncio.wait(keepers, timeout=longest_end(crew.settings))
    if late:
        get_log("supervisor").warning("workers killed", count=len(late))
        crew.signal(signal.SIGKILL)
    return await asyncio.gather(*keepers)


def longest_end(settings: Settings) -> float:
    """Seconds that a worker has from SIGTERM on: for its sessions, and for what events and spans wait to be taken."""
    sinks = settings.events.flush + (settings.traces.flush if settings.traces.enabled else 0.0)
    return settings.drain.announce + settings.drain.grace + sinks + KILL_MARGIN


async def _keep(crew: Crew, number: int) -> int:
    """Run one worker after another until the end is asked for; the last one's exit code."""
    pause = FIRST_PAUSE
    while True:
        begun = time.monotonic()
        try:
            pid, code = await _run_one(crew)
        except OSError as error:
            # No memory, process or descriptor for it now: it is tried again like one that failed.
            get_log("supervisor").error("worker not started", worker=number, cause=str(error))
            pid, code = 0, 1
        if crew.stop.asked:
            return 0 if code in {0, -signal.SIGTERM} else code
        get_log("supervisor").error("worker ended", worker=number, pid=pid, code=code)
        if not crew.was_ready:
            crew.stop.set()
            return code or 1
        if time.monotonic() - begun > STEADY_SECONDS:
            pause = FIRST_PAUSE
        if await crew.stop.wait(pause):
            return 0
        pause = min(pause * 2, LONGEST_PAUSE)
        crew.restarts += 1


async def _run_one(crew: Crew) -> tuple[int, int]:
    """The worker's process id and exit code."""
    channel = SupervisorEnd()
    try:
        process = await _start(crew, channel)
    except OSError:
        channel.close()
        raise
    crew.processes[process.pid] = process
    if crew.stop.asked:
        process.send_signal(signal.SIGTERM)
    try:
        if await channel.ready():
            crew.ready.add(process.pid)
            crew.was_ready = True
        return process.pid, await process.wait()
    finally:
        crew.ready.discard(process.pid)
        crew.processes.pop(process.pid, None)
        worker_gone(crew.folder, process.pid)
        channel.close()


async def _start(crew: Crew, channel: SupervisorEnd) -> asyncio.subprocess.Process:
    # A session of its own keeps the terminal's Ctrl-C away from workers: the supervisor alone ends them.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", COMMANDS[crew.role], "--worker", str(channel.worker)),
        pass_fds=(channel.worker,),
        env=crew.environment,
        start_new_session=True,
    )
    channel.started()
    return process
