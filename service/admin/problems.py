"""Every error as a problem detail: one form, whatever went wrong, and nothing private in it.

Owns the status code of each refusal. Refuses to tell what a store or a library said: that goes to the log.
RFC 9457 §3 (problem details), RFC 6750 §3 (WWW-Authenticate), RFC 9110 §10.2.3 (Retry-After),
§15.5.6 (Allow).
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.model.refusal import Reason, Refusal
from service.telemetry.logs import get_log

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "5"
CHALLENGE = 'Bearer realm="poplar"'
_STATUS: Mapping[Reason, int] = MappingProxyType(
    {
        Reason.CREDENTIALS: 401,
        Reason.NOT_FOUND: 404,
        Reason.EXISTS: 409,
        Reason.INVALID: 422,
        Reason.UNAVAILABLE: 503,
        Reason.OVERLOADED: 503,
        Reason.UNKNOWN_OUTCOME: 503,
    }
)


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    what: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: list[Mistake] = []


class ChangedMeanwhileError(Exception):
    """The thing isn't what the request's condition says it is; nothing was changed."""


class ForbiddenError(Exception):
    """The token's scope doesn't hold the right."""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an operation may answer, for the document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem(
    status: int, detail: str = "", errors: Sequence[Mistake] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The response; ASCII, so that no odd name in it can break it."""
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    text = json.dumps(told.model_dump(exclude_unset=not errors) | {"type": told.type})
    return Response(text, status, headers, MEDIA_TYPE)


def of_refusal(refusal: Refusal) -> Response:
    """The problem that a refusal amounts to."""
    status = _STATUS.get(refusal.reason, 500)
    if status == 401:
        error = ', error="invalid_token"' if refusal.cause else ""
        return problem(401, "a valid token is needed", headers={"WWW-Authenticate": CHALLENGE + error})
    if status < 500:
        return problem(status, refusal.cause)
    get_log("admin").error("refused", reason=refusal.reason.value, cause=refusal.cause)
    return problem(status, "service unavailable, please try again", headers={"Retry-After": RETRY_SECONDS})


def install(app: FastAPI, methods: Mapping[str, AbstractSet[str]]) -> None:
    """Answer every exception with its problem; `methods` holds those of each path, as its router has it."""
    app.state.methods = methods
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ChangedMeanwhileError, _changed)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(Exception, _defect)


async def _refused(_request: Request, error: Exception) -> Response:
    return of_refusal(error) if isinstance(error, Refusal) else await _defect(_request, error)


async def _invalid(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    mistakes = [Mistake(where=".".join(map(str, each["loc"])), what=each["msg"]) for each in found]
    return problem(422, "the request is not as it must be", mistakes)


async def _http(request: Request, error: Exception) -> Response:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    allowed = request.app.state.methods.get(getattr(request.scope.get("route"), "path", ""))
    if status == 405 and allowed:
        # RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response containing a list
        # of the target resource's currently supported methods." The framework names those of one route alone.
        headers = {"Allow": ", ".join(sorted(allowed))}
    return problem(status, "", headers=headers)


async def _changed(_request: Request, _error: Exception) -> Response:
    return problem(412, "it isn't what the request's condition says it is: read it again")


async def _forbidden(_request: Request, _error: Exception) -> Response:
    # RFC 6750 §3.1: "insufficient_scope: The request requires higher privileges than provided by the access token."
    headers = {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'}
    return problem(403, "the token's scope doesn't allow this", headers=headers)


async def _defect(_request: Request, _error: Exception) -> Response:
    return problem(500, "a defect of this service; its log tells more")
