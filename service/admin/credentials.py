"""/v1/tenants/{tenant}/maildrops/{address}/credentials: what opens a maildrop, by label.

Owns the paths and forms. Refuses to show a secret but once, when it was made up here. RFC 4616 §2 (passwords).
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from service.admin.access import Desk, Manager, Reader
from service.admin.conditions import Beside, Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.policies import Form, NarrowingValues
from service.admin.schemas import AddressName, StatusName, TenantName
from service.mail.naming import found, maildrop_address
from service.mail.passwords import Passwords, generate_password
from service.model.account import Status
from service.model.refusal import Reason, Refusal
from service.model.tenancy import CredentialView, NewCredential

router = APIRouter(prefix="/tenants/{tenant}/maildrops/{address:address}/credentials", tags=["credentials"])
LabelName = Annotated[str, Path(max_length=64, description="The credential's label within the maildrop.")]
CHANGES_BY_ITSELF = frozenset({"last_used"})


class CredentialForm(Form):
    """A credential as it is to be."""

    password: SecretStr
    expires: AwareDatetime | None = None


class NewCredentialForm(Form):
    """A credential whose password is made up; an app password may be allowed less than its maildrop."""

    label: str = Field(min_length=1, max_length=64)
    expires: AwareDatetime | None = None
    kind: Literal["password", "app"] = "password"
    policy: NarrowingValues = NarrowingValues()


class CredentialChange(Form):
    """What is to be changed."""

    status: StatusName


class CredentialResource(BaseModel):
    """A credential, without its secret."""

    credential_id: UUID = Field(description="Another one with each password that is set.")
    label: str
    kind: str
    status: StatusName
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    policy: NarrowingValues


class GeneratedCredential(CredentialResource):
    """A credential and its password, which nobody can show again."""

    password: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which credential a request names."""

    tenant: str
    address: str
    label: str

    async def held(self, desk: Desk) -> CredentialView | None:
        """The credential or None, and nobody else changes the maildrop's. Raises Refusal: INVALID, NOT_FOUND."""
        await desk.unit.holds.maildrop(self.tenant, maildrop_address(self.address))
        every = await desk.use.credentials.every(self.address, self.tenant)
        return next((view for view in every if view.label == self.label), None)

    async def there(self, desk: Desk) -> CredentialView:
        """The credential, held. Raises Refusal: INVALID, NOT_FOUND."""
        return found(await self.held(desk), f"{self.address} has no credential labelled {self.label}")


async def _place(tenant: TenantName, address: AddressName, label: LabelName) -> Place:
    return Place(tenant, address, label)


InMaildrop = Annotated[Place, Depends(_place)]


@router.get("")
async def list_credentials(
    caller: Reader, tenant: TenantName, address: AddressName, window: Windowed
) -> Listing[CredentialResource]:
    """The maildrop's credentials by label."""
    async with caller.desk() as desk:
        every = await desk.use.credentials.every(address, tenant)
    return window.of(every, lambda view: view.label, _resource)


@router.post("", status_code=201)
async def create_credential(
    caller: Manager, tenant: TenantName, address: AddressName, form: NewCredentialForm
) -> GeneratedCredential:
    """Add a credential with a password that is made up, and shown in this response alone."""
    made, password = await _made_up(caller.house.passwords, form)
    async with caller.desk() as desk:
        view = await desk.use.credentials.create(address, made, tenant)
    return GeneratedCredential(**_facts(view), password=password)


async def _made_up(passwords: Passwords, form: NewCredentialForm) -> tuple[NewCredential, str]:
    if form.kind == "app":
        return passwords.app(form.label, form.policy.overrides, form.expires)
    if form.policy.overrides:
        raise Refusal(Reason.INVALID, "policy: only an app password has limits of its own")
    password = generate_password()
    return await passwords.credential(password, form.label, form.expires), password


@router.get("/{label:path}")
async def show_credential(
    caller: Reader, tenant: TenantName, address: AddressName, label: LabelName, response: Response
) -> CredentialResource:
    """One credential."""
    async with caller.desk() as desk:
        return _shown(await desk.use.credentials.show(address, label, tenant), response)


@router.put("/{label:path}", responses={201: {"model": CredentialResource}})
async def put_credential(
    caller: Manager, place: InMaildrop, form: CredentialForm, beside: Beside
) -> CredentialResource:
    """Have this password, and no other, open the maildrop under this label; binds the next login.

    A suspended one stays suspended, and the answer says so.
    """
    made = await caller.house.passwords.credential(form.password.get_secret_value(), place.label, form.expires)
    async with caller.desk() as desk:
        before = await place.held(desk)
        beside.condition.check(None if before is None else _tag(before))
        if before is None:
            await desk.use.credentials.create(place.address, made, place.tenant)
            beside.response.status_code = 201
        else:
            await desk.use.credentials.replace(place.address, made, place.tenant)
        return _shown(await desk.use.credentials.show(place.address, place.label, place.tenant), beside.response)


@router.patch("/{label:path}")
async def change_credential(
    caller: Manager, place: InMaildrop, form: CredentialChange, beside: Beside
) -> CredentialResource:
    """Suspend or resume a credential; binds the next login."""
    async with caller.desk() as desk:
        before = await place.there(desk)
        beside.condition.check(_tag(before))
        if before.status is not Status(form.status):
            await desk.use.credentials.set_status(place.address, place.label, Status(form.status), place.tenant)
        return _shown(await place.there(desk), beside.response)


@router.delete("/{label:path}", status_code=204)
async def remove_credential(caller: Manager, place: InMaildrop, condition: Conditional) -> None:
    """Remove a credential; it opens nothing from now on."""
    async with caller.desk() as desk:
        condition.check(_tag(await place.there(desk)))
        await desk.use.credentials.remove(place.address, place.label, place.tenant)


def _shown(view: CredentialView, response: Response) -> CredentialResource:
    tagged(response, _tag(view))
    return _resource(view)


def _tag(view: CredentialView) -> str:
    return entity_tag(_resource(view), CHANGES_BY_ITSELF)


def _resource(view: CredentialView) -> CredentialResource:
    return CredentialResource(**_facts(view))


def _facts(view: CredentialView) -> dict[str, Any]:
    return asdict(view) | {"status": view.status.value}
