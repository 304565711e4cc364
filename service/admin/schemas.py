"""What tenants, domains, aliases and maildrops look like in JSON, read and written.

Owns the names of fields and which are needed. Refuses fields it doesn't know: a misspelt one must not pass unseen.
A policy's absent value is inherited, null lifts the limit. RFC 2449 §6.5 (login_delay), §6.7 (expire_days).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    model_serializer,
)
from pydantic.fields import FieldInfo
from starlette.convertors import Convertor, register_url_convertor

from service.model.account import Status
from service.model.policy import PolicyValue
from service.model.policy_rules import MOST_WORDS, Number
from service.model.policy_table import RULES
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


class Form(BaseModel):
    """What clients write."""

    model_config = ConfigDict(extra="forbid")


def _number(name: str) -> FieldInfo:
    """The bounds of a number, as the table of policies says."""
    rule = RULES[name]
    if not isinstance(rule, Number):
        raise TypeError(name)
    told: FieldInfo = Field(ge=rule.low, le=rule.high, description=_told(name))
    return told


def _told(name: str) -> str:
    text = RULES[name].help
    return f"{text[0].upper()}{text[1:]}."


def _several(name: str) -> FieldInfo:
    told: FieldInfo = Field(min_length=1, max_length=MOST_WORDS, description=_told(name))
    return told


Way = Literal["USER", "PLAIN", "LOGIN", "SCRAM-SHA-256"]
Network = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$", description="In CIDR notation.")]


class PolicyValues(Form):
    """The policy values that one level sets."""

    login_delay: Annotated[StrictInt, _number("login_delay")] = 0
    expire_days: Annotated[StrictInt, _number("expire_days")] | None = None
    quota_octets: Annotated[StrictInt, _number("quota_octets")] | None = None
    quota_messages: Annotated[StrictInt, _number("quota_messages")] | None = None
    pop3: Annotated[StrictBool, Field(description=_told("pop3"))] = True
    mechanisms: Annotated[tuple[Way, ...], _several("mechanisms")] | None = None
    networks: Annotated[tuple[Network, ...], _several("networks")] | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, plainly: SerializerFunctionWrapHandler) -> dict[str, PolicyValue | list[str]]:
        return {name: value for name, value in plainly(self).items() if name in self.model_fields_set}

    @property
    def overrides(self) -> Overrides:
        """The values that are given."""
        return self.model_dump(exclude_unset=True)


PolicyName = Literal["login_delay", "expire_days", "quota_octets", "quota_messages", "pop3", "mechanisms", "networks"]


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
