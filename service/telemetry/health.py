"""/livez, /readyz, /routez and /metrics as an ASGI application, to be served in the process it speaks of.

Readiness depends on start-up and drain alone, never on Postgres, Redis or the store: one outage must not
remove every pod. Owns these four pages. Refuses to know how the process came into its state.
"""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

State = Literal["starting", "ready", "draining"]


def ops_app(state: Callable[[], State], registry: Callable[[], CollectorRegistry]) -> Starlette:
    """The application; `registry` is asked anew for each scrape."""

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        now = state()
        return PlainTextResponse(f"{now}\n", 200 if now == "ready" else 503)

    async def routez(_request: Request) -> Response:
        # HAProxy's `http-check disable-on-404`: 404 takes no new clients there and lets those go on that are.
        now = state()
        return PlainTextResponse(f"{now}\n", {"ready": 200, "draining": 404}.get(now, 503))

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry()), media_type=content_type)

    pages = {"/livez": livez, "/readyz": readyz, "/routez": routez, "/metrics": metrics}
    return Starlette(routes=[Route(path, page) for path, page in pages.items()])
