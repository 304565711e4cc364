"""/v1/tenants/{tenant}/issuers: whose tokens open a tenant's maildrops.

Owns the paths and forms. A delegated admin may look and not write: every address here is one that the provider's own
systems send requests to. Refuses to show a client's secret; that there is one shows by when it was set.
RFC 7662 §2.1 (the secret), RFC 7518 §3.1 (algorithms).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field, SecretStr

from service.admin.access import Desk, Provider, Reader
from service.admin.conditions import Beside, Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.policies import Form
from service.admin.schemas import StatusName, TenantName
from service.model.account import Status
from service.model.issuer import IssuerTerms, IssuerView, Method, NewIssuer

router = APIRouter(prefix="/tenants/{tenant}/issuers", tags=["issuers"])
IssuerName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="The issuer's name.")]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
Url = Annotated[str, Field(max_length=1000)]
Word = Annotated[str, Field(max_length=500)]
Audiences = Annotated[list[Word], Field(min_length=1, max_length=16)]
Algorithms = Annotated[list[Algorithm], Field(min_length=1, max_length=16)]


class Terms(Form):
    """On which terms an issuer's tokens are taken."""

    url: Url = Field(description="What `iss` must say.")
    audiences: Audiences = Field(description="One of them must be in `aud`.")
    method: Literal["jwks", "introspection"] = "jwks"
    algorithms: Algorithms = Field(["RS256", "ES256"], description="Of the signatures that count.")
    mail_claim: Word = Field("email", description="The claim that holds the maildrop's address.")
    verified_mail: bool = Field(True, description="Whether the claim `email` counts only with `email_verified`.")
    scope: Word = Field("", description="A scope that a token must have; empty for none.")
    jwks_uri: Url = Field("", description="Where the keys are; empty to ask the issuer.")
    introspection_endpoint: Url = Field("", description="Whom to ask about tokens; empty to ask the issuer.")
    client_id: Word = Field("", description="As whom tokens are introspected.")

    @property
    def terms(self) -> IssuerTerms:
        """As the model has them."""
        values = {name: getattr(self, name) for name in Terms.model_fields}
        lists = {name: tuple(values[name]) for name in ("audiences", "algorithms")}
        return IssuerTerms(**{**values, **lists, "method": Method(self.method)})


class IssuerForm(Terms):
    """An issuer as it is to be: what isn't given is as if it were new, the secret too."""

    status: StatusName = "active"
    client_secret: SecretStr | None = Field(None, max_length=500)


class IssuerChange(Form):
    """What is to be changed of an issuer; the rest stays, the secret too."""

    status: StatusName | None = None
    url: Url | None = None
    audiences: Audiences | None = None
    method: Literal["jwks", "introspection"] | None = None
    algorithms: Algorithms | None = None
    mail_claim: Word | None = None
    verified_mail: bool | None = None
    scope: Word | None = None
    jwks_uri: Url | None = None
    introspection_endpoint: Url | None = None
    client_id: Word | None = None
    client_secret: SecretStr | None = Field(None, max_length=500)


class IssuerResource(Terms):
    """An issuer, without its secret."""

    name: str
    tenant: str
    status: StatusName
    created: datetime
    secret_set: datetime | None = Field(description="When the client's secret was last set; null without one.")


@router.get("")
async def list_issuers(caller: Reader, tenant: TenantName, window: Windowed) -> Listing[IssuerResource]:
    """The tenant's issuers by name."""
    async with caller.desk() as desk:
        every = await desk.use.issuers.every(tenant)
    return window.of(every, lambda view: view.name, _resource)


@router.get("/{issuer}")
async def show_issuer(caller: Reader, tenant: TenantName, issuer: IssuerName, response: Response) -> IssuerResource:
    """One issuer."""
    async with caller.desk() as desk:
        return _shown(await desk.use.issuers.show(tenant, issuer), response)


@router.put("/{issuer}", responses={201: {"model": IssuerResource}})
async def put_issuer(
    caller: Provider, tenant: TenantName, issuer: IssuerName, form: IssuerForm, beside: Beside
) -> IssuerResource:
    """Have the tenant's maildrops opened by this issuer's tokens, on these terms alone; binds the next login."""
    wanted = NewIssuer(issuer, form.terms, Status(form.status), _secret(form.client_secret) or "")
    async with caller.desk() as desk:
        before = await _held(desk, tenant, issuer)
        beside.condition.check(None if before is None else _tag(before))
        if before is not None:
            return _shown(await desk.use.issuers.replace(tenant, wanted), beside.response)
        beside.response.status_code = 201
        return _shown(await desk.use.issuers.create(tenant, wanted), beside.response)


@router.patch("/{issuer}")
async def change_issuer(
    caller: Provider, tenant: TenantName, issuer: IssuerName, form: IssuerChange, beside: Beside
) -> IssuerResource:
    """Change an issuer's terms, or suspend it; binds the next login."""
    async with caller.desk() as desk:
        await desk.unit.holds.tenant(tenant)
        before = await desk.use.issuers.show(tenant, issuer)
        beside.condition.check(_tag(before))
        given = {name: value for name, value in form.model_dump(exclude={"client_secret"}).items() if value is not None}
        merged = IssuerForm.model_validate(_facts(before) | given)
        wanted = NewIssuer(issuer, merged.terms, Status(merged.status), _secret(form.client_secret))
        return _shown(await desk.use.issuers.replace(tenant, wanted), beside.response)


@router.delete("/{issuer}", status_code=204)
async def remove_issuer(caller: Provider, tenant: TenantName, issuer: IssuerName, condition: Conditional) -> None:
    """Trust it no longer; its tokens open nothing from now on."""
    async with caller.desk() as desk:
        await desk.unit.holds.tenant(tenant)
        condition.check(_tag(await desk.use.issuers.show(tenant, issuer)))
        await desk.use.issuers.remove(tenant, issuer)


async def _held(desk: Desk, tenant: str, issuer: str) -> IssuerView | None:
    """The issuer or None, and nobody else changes the tenant's."""
    await desk.unit.holds.tenant(tenant)
    return next((view for view in await desk.use.issuers.every(tenant) if view.name == issuer), None)


def _secret(given: SecretStr | None) -> str | None:
    return None if given is None else given.get_secret_value()


def _shown(view: IssuerView, response: Response) -> IssuerResource:
    tagged(response, _tag(view))
    return _resource(view)


def _tag(view: IssuerView) -> str:
    return entity_tag(_resource(view))


def _resource(view: IssuerView) -> IssuerResource:
    about = {"name": view.name, "tenant": view.tenant, "created": view.created, "secret_set": view.secret_set}
    return IssuerResource.model_validate(_facts(view) | about)


def _facts(view: IssuerView) -> dict[str, Any]:
    terms = asdict(view.terms)
    lists = {name: list(terms[name]) for name in ("audiences", "algorithms")}
    return {**terms, **lists, "method": view.terms.method.value, "status": view.status.value}
