"""Who asks, and what their token allows: before a request's body is even looked at.

Owns the gate (a token on every request, a bounded body) and the right that each operation names. Refuses to tell
another tenant's names from absent ones: a delegated admin's desk sees one tenant alone (G10).
RFC 6750 §2.1 (the Authorization header).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.admin.problems import ForbiddenError, of_refusal, problem
from service.mail.blocks import Blocks
from service.mail.evicting import LiveSessions
from service.mail.guard import Guard
from service.mail.passwords import Passwords
from service.mail.ports import Clock
from service.mail.provisioning import Office, Provisioning, provisioning
from service.mail.recent import RecentLogins
from service.mail.tokens import TokenOffice
from service.mail.units import Unit, Units
from service.model.refusal import Reason, Refusal
from service.model.token import Right, TokenView

DOCUMENT = "/v1/openapi.json"
BODY_OCTETS = 256 * 1024
BODY_SECONDS = 30.0
"""In which a request's body has to come: who has a token may not hold connections for good either."""
_bearer = HTTPBearer(auto_error=False, description="A token that `poplar token create` or POST /v1/tokens made.")


@dataclass(frozen=True, slots=True)
class House:
    """What the API stands on."""

    tokens: TokenOffice
    units: Units
    locks: LiveSessions
    passwords: Passwords
    removed_retention: timedelta
    recent: RecentLogins
    clock: Clock
    blocks: Blocks
    default_directory: str = ""
    guard: Guard = field(default_factory=Guard)
    certificates: bool = False
    """Whether front ends ask clients for a certificate."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The use cases in one transaction, and the means to make a change depend on what was read."""

    use: Provisioning
    unit: Unit
    office: Office


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the token of this request."""

    token: TokenView
    house: House

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        """The use cases as the token's holder may see them; all of the block is kept, or nothing if it raises."""
        async with self.house.units.open(self.token.bound_to) as unit:
            office = Office(unit.tenancy, self.token.actor, self.house.removed_retention)
            yield Desk(provisioning(office, self.house.passwords), unit, office)


def _may(*rights: Right) -> Callable[..., Caller]:
    def caller(request: Request, _shown: Annotated[object, Depends(_bearer)]) -> Caller:
        token: TokenView = request.state.token
        if not all(map(token.may, rights)):
            raise ForbiddenError
        return Caller(token, request.app.state.house)

    return caller


Reader = Annotated[Caller, Depends(_may(Right.READ))]
Overseer = Annotated[Caller, Depends(_may(Right.OVERSEE))]
Assistant = Annotated[Caller, Depends(_may(Right.ASSIST))]
Manager = Annotated[Caller, Depends(_may(Right.MANAGE))]
Lifter = Annotated[Caller, Depends(_may(Right.OVERSEE, Right.ASSIST))]
Provider = Annotated[Caller, Depends(_may(Right.PROVIDE))]


class Gate:
    """ASGI middleware: nobody without a token gets further, save to the document of the API."""

    def __init__(self, app: ASGIApp, house: House, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._house = house
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] == DOCUMENT:
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._pass(scope, receive, noted)
        except asyncio.CancelledError:
            if begun:
                raise
            # The process ends, and can't wait for it any longer. What it has sent may be done all the same.
            await of_refusal(Refusal(Reason.UNKNOWN_OUTCOME, "the process ends"))(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope.setdefault("state", {})["token"] = await self._house.tokens.admit(_presented(scope))
        except Refusal as refusal:
            await of_refusal(refusal)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await _whole(receive)
        except TimeoutError:
            await problem(408, "the request's body did not come")(scope, receive, send)
            return
        if body is None:
            await problem(413, f"a request has at most {BODY_OCTETS} octets")(scope, receive, send)
        else:
            await self._app(scope, _again(body, receive), send)


def _presented(scope: Scope) -> str:
    scheme, _, text = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        # RFC 6750 §3.1: "If the request lacks any authentication information [...] the resource server SHOULD NOT
        # include an error code or other error information."
        raise Refusal(Reason.CREDENTIALS)
    return text.strip()


async def _whole(receive: Receive) -> bytes | None:
    """The request's body, or None as soon as it is too large."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_OCTETS:
            return None
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then whatever comes next: the client's going."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return first.pop() if first else await receive()

    return given
