"""What tenants, domains, aliases and maildrops look like in JSON, read and written.

Owns the names of fields and which are needed. Refuses fields it doesn't know: a misspelt one must not pass unseen.
A policy's absent value is inherited, null lifts the limit. RFC 2449 §6.5 (login_delay), §6.7 (expire_days).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, Field, StrictBool, StrictInt
from starlette.convertors import Convertor, register_url_convertor

from service.admin.policies import Form, PolicyName, PolicyValues
from service.model.account import Status
from service.model.tenancy import (
    AliasView,
    DomainView,
    MaildropView,
    Overrides,
    PolicyChange,
    Setting,
    TenantView,
    Usage,
)


class AddressConvertor(Convertor[str]):
    """An address in a path: its local part may hold a slash, its domain never does."""

    regex = ".+@[^/@]+"

    def convert(self, value: str) -> str:
        """As it stands in the path."""
        return value

    def to_string(self, value: str) -> str:
        """As it stands in the path."""
        return value


register_url_convertor("address", AddressConvertor())

StatusName = Literal["active", "suspended"]
TenantName = Annotated[str, Path(pattern="^[a-z0-9-]{1,63}$", description="The tenant's name.")]
DomainName = Annotated[str, Path(max_length=255, description="The domain.")]
AddressName = Annotated[str, Path(max_length=320, description="The address, without a tag.")]


class StandingForm(Form):
    """A tenant or maildrop as it is to be: what isn't given is as if it were new."""

    status: StatusName = "active"
    policy: PolicyValues = PolicyValues()


class StandingChange(Form):
    """What is to be changed of a tenant or maildrop; the rest stays."""

    status: StatusName | None = None
    policy: PolicyValues = PolicyValues()
    inherit: list[PolicyName] = Field([], description="Values that are to be inherited again.")

    @property
    def policy_change(self) -> PolicyChange:
        """The policy's part of it."""
        return PolicyChange(self.policy.overrides, frozenset(self.inherit))


class DomainForm(Form):
    """A domain as it is to be."""

    status: StatusName = "active"
    catch_all: str | None = Field(None, description="The maildrop that takes mail for unknown local parts.")


class DomainChange(Form):
    """What is to be changed of a domain; null for catch_all means none."""

    status: StatusName | None = None
    catch_all: str | None = None


class AliasForm(Form):
    """Where an alias leads."""

    address: str = Field(description="The maildrop's address.")


class Tenant(BaseModel):
    """A tenant; `policy` holds what it sets for all its maildrops."""

    name: str
    status: StatusName
    created: datetime
    policy: PolicyValues


class Holdings(BaseModel):
    """What a tenant holds."""

    domains: int
    maildrops: int
    messages: int
    octets: int


class Domain(BaseModel):
    """A domain."""

    name: str
    tenant: str
    status: StatusName
    created: datetime
    catch_all: str | None


class Alias(BaseModel):
    """Another address of a maildrop."""

    alias: str
    address: str
    tenant: str


class EffectiveValue(BaseModel):
    """A policy value as it binds, and the level that set it."""

    value: StrictInt | StrictBool | str | tuple[str, ...] | None
    origin: Literal["default", "tenant", "maildrop"]


class Maildrop(BaseModel):
    """A maildrop; `policy` holds its own values, `settings` what binds it."""

    maildrop_id: UUID
    address: str
    tenant: str
    status: StatusName
    created: datetime
    policy: PolicyValues
    settings: dict[str, EffectiveValue]


class Contents(BaseModel):
    """What a maildrop holds."""

    messages: int
    octets: int


def tenant_of(view: TenantView) -> Tenant:
    """As clients see it."""
    policy = PolicyValues.model_validate(view.policy)
    return Tenant(name=view.name, status=view.status.value, created=view.created, policy=policy)


def holdings_of(usage: Usage) -> Holdings:
    """As clients see it."""
    return Holdings(domains=usage.domains, maildrops=usage.maildrops, messages=usage.messages, octets=usage.octets)


def domain_of(view: DomainView) -> Domain:
    """As clients see it."""
    return Domain(
        name=view.name, tenant=view.tenant, status=view.status.value, created=view.created, catch_all=view.catch_all
    )


def alias_of(view: AliasView) -> Alias:
    """As clients see it."""
    return Alias(alias=view.alias, address=view.address, tenant=view.tenant)


def maildrop_of(view: MaildropView) -> Maildrop:
    """As clients see it."""
    return Maildrop(
        maildrop_id=view.maildrop_id,
        address=view.address,
        tenant=view.tenant,
        status=view.status.value,
        created=view.created,
        policy=PolicyValues.model_validate(view.policy),
        settings=_effective(view.settings),
    )


def contents_of(view: MaildropView) -> Contents:
    """As clients see it."""
    return Contents(messages=view.messages, octets=view.octets)


def _effective(settings: Mapping[str, Setting]) -> dict[str, EffectiveValue]:
    return {
        name: EffectiveValue(value=setting.value, origin=setting.origin.value) for name, setting in settings.items()
    }


def wholly(values: Overrides, current: Overrides) -> PolicyChange:
    """The change that leaves exactly these values set."""
    return PolicyChange(values, frozenset(current) - frozenset(values))


def status_is(status: str | None) -> Callable[[TenantView | DomainView | MaildropView], bool] | None:
    """The filter by status, if one is asked for."""
    return None if status is None else lambda view: view.status is Status(status)
