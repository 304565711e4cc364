"""/v1/tenants/{tenant}/maildrops/{address}/explanation: why a client can't log in, for support desks' own tools.

Owns the path and the JSON. A tenant's own admin is told of its own names alone: the rows are behind the wall of the
database, and what was tried is asked by a maildrop's id, or by a name in a domain that is the tenant's (G10).
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, IPvAnyAddress

from service.admin.access import Reader
from service.admin.schemas import AddressName, StatusName, TenantName
from service.admin.sessions import Session, session_of
from service.mail.explaining import Explanation, Sources, Told, explained
from service.model.event import Kind
from service.model.tenancy import CredentialView

router = APIRouter(prefix="/tenants/{tenant}/maildrops/{address:address}/explanation", tags=["maildrops"])


class ExplanationFinding(BaseModel):
    """One thing that was found; `code` is for programs."""

    weight: Literal["good", "note", "doubtful", "wrong"]
    code: str
    text: str
    advice: str


class ExplanationAttempt(BaseModel):
    """Logins or refusals of one sort: `count` of them between `first` and `last`."""

    kind: Literal["login", "refusal"]
    first: datetime
    last: datetime
    count: int
    client: str
    mechanism: str
    listener: str
    tls: str
    credential: str
    reason: str
    session: str
    text: str
    advice: str


class ExplanationCredential(BaseModel):
    """A credential, as far as it matters here."""

    label: str
    kind: str
    status: StatusName
    expires: datetime | None
    last_used: datetime | None


class ExplanationResource(BaseModel):
    """Why a client can or can't log in; `verdict` is one sentence."""

    address: str
    verdict: str
    findings: list[ExplanationFinding]
    attempts: list[ExplanationAttempt]
    credentials: list[ExplanationCredential]
    session: Session | None
    last_login: datetime | None
    last_delivery: datetime | None


@router.get("")
async def explain_maildrop(
    caller: Reader,
    tenant: TenantName,
    address: AddressName,
    client: Annotated[IPvAnyAddress | None, Query(description="The client's network address.")] = None,
) -> ExplanationResource:
    """Why a client can't log in as this address, which need not be a maildrop's: findings, attempts, and what to do."""
    async with caller.desk() as desk:
        await desk.use.tenants.show(tenant)
        house = caller.house
        stores = desk.unit.tenancy, house.recent, house.clock
        sources = Sources(*stores, house.default_directory, house.guard, house.certificates)
        return _resource(await explained(sources, address, tenant, str(client) if client else None))


def _resource(explanation: Explanation) -> ExplanationResource:
    e = explanation
    findings = [
        ExplanationFinding(weight=f.weight.value, code=f.code, text=f.text, advice=f.advice) for f in e.findings
    ]
    return ExplanationResource(
        address=e.address,
        verdict=e.verdict,
        findings=findings,
        attempts=[_attempt(told) for told in e.attempts],
        credentials=[_credential(view) for view in e.credentials],
        session=session_of(e.session) if e.session else None,
        last_login=e.last_login,
        last_delivery=e.last_delivery,
    )


def _attempt(told: Told) -> ExplanationAttempt:
    a = told.attempt
    return ExplanationAttempt(
        kind="login" if a.kind is Kind.LOGIN else "refusal",
        first=a.first,
        last=a.last,
        count=a.count,
        client=a.client,
        mechanism=a.mechanism,
        listener=a.listener,
        tls=a.tls,
        credential=a.credential,
        reason=a.reason,
        session=a.session,
        text=told.text,
        advice=told.advice,
    )


def _credential(view: CredentialView) -> ExplanationCredential:
    return ExplanationCredential(
        label=view.label,
        kind=view.kind,
        status=view.status.value,
        expires=view.expires,
        last_used=view.last_used,
    )
