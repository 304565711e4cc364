"""Serves an ASGI application from within a running event loop.

Owns the socket and the life of the server. Refuses to touch signals, which belong to the process,
and to know what it serves.
"""

import asyncio
import contextlib
import errno
import math
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from service.telemetry.behind_balancers import ToleratingProxyHeader

GRACE = 2.0
"""Seconds that requests under way get to end, where nothing else is said; idle connections are closed at once."""


class _Server(uvicorn.Server):
    """uvicorn's server, but signals stay with the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, grace: float = GRACE) -> AsyncIterator[str]:
    """Serve `app` until the block ends; gives the base URL that reaches it from this machine.

    Requests that are under way then have `grace` seconds, before they are cancelled.

    Host "*" is every IPv4 and IPv6 address. Raises OSError when the port is taken.
    """
    with _bound(host, port) as listening:
        server = _Server(_config(app, grace))
        task = asyncio.create_task(server.serve(sockets=[listening]), name="ops http")
        try:
            await _started(server, task)
            yield base_url(listening)
        finally:
            server.should_exit = True
            await task
            await _cancelled(server)


async def _cancelled(server: uvicorn.Server) -> None:
    """Let those that were cancelled answer: what they stand on is closed next."""
    if tasks := set(server.server_state.tasks):
        await asyncio.wait(tasks, timeout=GRACE)


def _config(app: ASGIApp, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=ToleratingProxyHeader,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=math.ceil(grace),
    )


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listening = _listen(host, port)
    except OSError as error:
        told = f"http: port {port}: {os.strerror(error.errno) if error.errno else error}"
        if error.errno == errno.EADDRINUSE:
            told += "; each command of Poplar's that runs on one machine needs its own (POPLAR_HTTP__PORT)"
        raise OSError(error.errno, told) from None
    with contextlib.closing(listening):
        yield listening


def _listen(host: str, port: int) -> socket.socket:
    if host != "*":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    return socket.create_server(("", port), family=family, backlog=128, dualstack_ipv6=dual)


async def _started(server: uvicorn.Server, task: "asyncio.Task[None]") -> None:
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            task.result()
            raise OSError("the HTTP server ended before it began")


def base_url(listening: socket.socket) -> str:
    """`http://host:port` of a listening socket, by its loopback address when it listens on every one."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
