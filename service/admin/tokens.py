"""/v1/tokens: bearer tokens of this API, for the provider alone.

Owns the paths. Refuses to show a token's text but once. RFC 6750 §5.3 (short-lived and scoped tokens).
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import AwareDatetime, BaseModel, Field

from service.admin.access import Overseer, Provider
from service.admin.paging import Listing, Windowed
from service.admin.policies import Form
from service.mail.tokens import Issued
from service.model.refusal import Reason, Refusal
from service.model.token import SERVICE, Scope, TokenKey, TokenView

router = APIRouter(prefix="/tokens", tags=["tokens"])
ScopeName = Literal["full", "read-only", "support", "tenant"]


class TokenForm(Form):
    """A token that is wanted; `tenant` is given for the scope of one."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    scope: ScopeName
    tenant: str | None = None
    expires: AwareDatetime | None = None


class Rotation(Form):
    """Until when the new secret holds; unless given, as long as the old one."""

    expires: AwareDatetime | None = None


class Token(BaseModel):
    """A token without its text."""

    id: str
    name: str
    scope: ScopeName
    tenant: str | None
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None


class IssuedToken(Token):
    """A token and its text, which nobody can show again."""

    token: str


@router.get("")
async def list_tokens(caller: Overseer, window: Windowed) -> Listing[Token]:
    """All tokens, revoked ones too."""
    after = _key(window.after) if window.after else None
    found = await caller.house.tokens.tokens.page(after, window.limit + 1)
    return window.listing(found, lambda view: view.key.id, lambda view: Token(**_facts(view)))


@router.post("", status_code=201)
async def create_token(caller: Provider, form: TokenForm) -> IssuedToken:
    """Make a token; its text is in this response alone."""
    actor, scope = caller.token.actor, Scope(form.scope)
    return _issued(await caller.house.tokens.issue(actor, form.name, scope, form.tenant, form.expires))


@router.post("/{token_id}/rotate")
async def rotate_token(caller: Provider, token_id: str, form: Annotated[Rotation, Body()]) -> IssuedToken:
    """Give the token another text; the old one opens nothing from now on."""
    view = await _there(caller, token_id)
    return _issued(await caller.house.tokens.rotate(caller.token.actor, view, form.expires))


@router.delete("/{token_id}", status_code=204)
async def revoke_token(caller: Provider, token_id: str) -> None:
    """Revoke a token; it opens nothing from now on."""
    await caller.house.tokens.tokens.revoke(caller.token.actor, (await _there(caller, token_id)).key)


async def _there(caller: Provider, token_id: str) -> TokenView:
    kept = await caller.house.tokens.tokens.find(_key(token_id))
    if kept is None:
        raise Refusal(Reason.NOT_FOUND, "there is no such token")
    return kept.view


def _key(text: str) -> TokenKey:
    tenant, dot, own = text.rpartition(".")
    try:
        return TokenKey(UUID(hex=tenant) if dot else SERVICE, UUID(hex=own))
    except ValueError:
        raise Refusal(Reason.NOT_FOUND, "there is no such token") from None


def _issued(issued: Issued) -> IssuedToken:
    return IssuedToken(**_facts(issued.view), token=issued.text)


def _facts(view: TokenView) -> dict[str, Any]:
    return {
        "id": view.key.id,
        "name": view.name,
        "scope": view.scope.value,
        "tenant": view.tenant,
        "created": view.created,
        "expires": view.expires,
        "last_used": view.last_used,
        "revoked": view.revoked,
    }
