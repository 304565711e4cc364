"""The API as one ASGI application, and its document.

Owns which routers there are and in which order: what stands below an address comes before the address itself.
Refuses to open anything: it is given the `House` it works in. RFC 9110 §15 (status codes).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from service.admin import (
    aliases,
    audit,
    blocks,
    credentials,
    directories,
    domains,
    explanation,
    issuers,
    maildrops,
    removed,
    sessions,
    tenants,
    tokens,
)
from service.admin.access import DOCUMENT, Gate, House
from service.admin.conditions import describe_tags
from service.admin.problems import Problem, install, responses
from service.telemetry.build import VERSION

_PARTS = (
    blocks,
    tokens,
    sessions,
    audit,
    removed,
    credentials,
    explanation,
    maildrops,
    aliases,
    domains,
    directories,
    issuers,
    tenants,
)
_PROBLEMS = responses(400, 401, 403, 404, 408, 409, 412, 413, 422, 503)


def admin_app(house: House) -> FastAPI:
    """The application; every path begins with /v1."""
    app = FastAPI(
        title="Poplar",
        version=VERSION,
        description="Tenants and all that stands in them, live sessions, removed messages and the audit.",
        openapi_url=DOCUMENT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.house = house
    app.include_router(_router(), responses=_PROBLEMS)
    app.add_middleware(Gate, house=house)
    install(app, _methods())
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _router() -> APIRouter:
    router = APIRouter(prefix="/v1")
    for part in _PARTS:
        router.include_router(part.router)
    return router


def _methods() -> Mapping[str, AbstractSet[str]]:
    routes = [route for part in _PARTS for route in part.router.routes if isinstance(route, APIRoute)]
    paths = {route.path for route in routes}
    return {path: {way for each in routes if each.path == path for way in each.methods or ()} for path in paths}


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the one form of all problems in place of the framework's own."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        schemas = document["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        mistakes = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= mistakes.pop("$defs") | {"Problem": mistakes}
        describe_tags(document["paths"])
        app.openapi_schema = document
    return app.openapi_schema
