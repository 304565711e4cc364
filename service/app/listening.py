"""Listeners out of the settings, started and drained together.

Owns which listener gets which connections and certificate, and one admission for all of a process. Refuses to know
what a connection does.
"""

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from service.app.ports import taken
from service.app.waiting import Waiting
from service.mail.turns import Whose
from service.net.admission import Admission
from service.net.arrival import ListenerSpec, SetupSeconds
from service.net.connection import Factory
from service.net.drain import Drain
from service.net.handshakes import Handshakes, strangers
from service.net.listener import Listener, Reception, Rejection
from service.net.peer import TlsMode
from service.settings import Settings
from service.settings.listening import ListenerSettings
from service.stores.standing_back import SLICE, ask_for
from service.telemetry import metrics, sharing
from service.telemetry.logs import get_log

QUIET_SECONDS = 60.0
COMMANDS_AHEAD = 32 * 1024
"""Octets of commands that the kernel holds of a POP3 client: left to itself it would take megabytes from whoever never
reads, and hand them over 250 KiB at a time (G15). LMTP brings messages, so its windows grow.
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What one protocol's listeners need: a connection for each client, and a certificate where there is TLS."""

    factory: Factory
    context: ssl.SSLContext | None
    whose: Callable[[str], Whose] = strangers
    """The tenant whose a client of this network is taken to be, None for a stranger."""


def listener_spec(settings: ListenerSettings, reuse_port: bool) -> ListenerSpec:
    """The listener as `net` knows it."""
    return ListenerSpec(
        name=settings.name,
        host=settings.host,
        port=settings.port,
        tls=TlsMode(settings.tls),
        proxy_protocol=settings.proxy_protocol == "required",
        trusted=settings.trusted,
        reuse_port=reuse_port,
        ahead=COMMANDS_AHEAD if settings.protocol == "pop3" else None,
    )


def make_listeners(
    settings: Settings, services: Mapping[str, Service], reuse_port: bool, waiting: Waiting
) -> list[Listener]:
    """A listener for each one in the settings whose protocol has a service; `waiting` hears of their handshakes."""
    limits = settings.limits
    admission = Admission(limits.connections, limits.connections_per_address or None)
    seconds = SetupSeconds(settings.deadlines.proxy_header, settings.deadlines.handshake)
    handshakes, listeners = Handshakes(sharing, _stand_back, partial(_whose, services)), []
    waiting.watch(handshakes)
    for each in settings.listeners:
        if each.protocol in services:
            service = services[each.protocol]
            rejected = Rejections(each.name)
            reception = Reception(service.factory, admission, service.context, seconds, rejected, handshakes)
            listeners.append(Listener(listener_spec(each, reuse_port), reception))
    return listeners


def _whose(services: Mapping[str, Service], network: str) -> Whose:
    """The tenant whose a client of any of these is taken to be; None for a stranger."""
    return next(filter(None, (service.whose(network) for service in services.values())), None)


def _stand_back(back: bool) -> None:
    """Have the event loop's thread passed by whoever wakes up beside it, or not."""
    ask_for(SLICE if back else 0.0)


@asynccontextmanager
async def started(listeners: Sequence[Listener], drain: Drain, settings: Settings) -> AsyncIterator[dict[str, int]]:
    """Listen until the block ends, then drain; gives each listener's port by its name. Raises OSError."""
    ports: dict[str, int] = {}
    try:
        for listener in listeners:
            ports[listener.spec.name] = _start(listener)
        drain.ready()
        yield ports
    finally:
        metrics.draining()
        orderly = await drain.run(listeners, settings.drain.grace, settings.drain.announce)
        get_log("drain").info("drained" if orderly else "drained, and ended what was left")


def _start(listener: Listener) -> int:
    try:
        return listener.start()
    except OSError as error:
        raise OSError(error.errno, taken(listener.spec.name, listener.spec.port, error)) from None


class Rejections:
    """Tells of connections that got no further: each to the metrics, one of a kind a minute as a line to notice.

    So a balancer that sends no PROXY header shows, and those who knock at every door don't fill the log.
    """

    def __init__(self, listener: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._quiet_until: dict[Rejection, float] = {}

    def __call__(self, why: Rejection, address: str, detail: str) -> None:
        """One more was rejected."""
        metrics.connection_rejected(self._listener, why.value)
        now, log = self._clock(), get_log("listener")
        tell = log.debug
        if why is not Rejection.HANDSHAKE and now >= self._quiet_until.get(why, 0.0):
            self._quiet_until[why] = now + QUIET_SECONDS
            tell = log.warning
        tell("rejected", listener=self._listener, why=why.value, client=address, detail=detail)
