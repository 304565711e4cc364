"""The form of a declaration: which keys there are and what may stand under each.

Owns the names of keys. Refuses keys it doesn't know: a misspelt one must not pass unseen. What is left out is left
alone, and so `null` says nothing but for a thing's own name, `catch_all` and `directory`. Refuses passwords, too.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from service.mail.naming import maildrop_address
from service.model.address import Address, parse_domain
from service.model.outside import parse_directory_name
from service.model.policy_table import check_policy
from service.model.refusal import Refusal
from service.model.tenancy import parse_label, parse_tenant_name

SOURCES = ("password_env", "password_file", "verifier", "verifier_env", "verifier_file")


def _named(value: object) -> object:
    """A name with nothing under it."""
    return {} if value is None else value


def _policy(values: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {name: _kept(value) for name, value in values.items()}
    check_policy(known)
    return known


def _kept(value: Any) -> Any:
    """A list of YAML's as the model has several words, a date as it has days."""
    if isinstance(value, list):
        return tuple(map(str, value))
    return value.isoformat() if isinstance(value, date) else value


def _read_by(read: Callable[[str], Address]) -> AfterValidator:
    def checked(text: str) -> str:
        try:
            read(text)
        except Refusal as refusal:
            raise ValueError(refusal.cause) from None
        return text

    return AfterValidator(checked)


def _domain(text: str) -> str:
    parse_domain(text)
    return text


Standing = Literal["active", "suspended"]
PolicyValues = Annotated[dict[str, Any], AfterValidator(_policy)]
AddressText = Annotated[str, _read_by(maildrop_address)]


class Form(BaseModel):
    """What people write."""

    model_config = ConfigDict(extra="forbid")

    def said(self, name: str) -> bool:
        """Whether this key was written."""
        return name in self.model_fields_set


class CredentialForm(Form):
    """A credential; one key at most says where its secret comes from."""

    status: Standing = "active"
    password_env: str = ""
    """The environment variable that holds the password."""
    password_file: str = ""
    """The file that holds it, such as one of a mounted secret; a line end behind it doesn't count."""
    verifier: str = ""
    """The password as Poplar or another system hashed it."""
    verifier_env: str = ""
    verifier_file: str = ""

    @model_validator(mode="before")
    @classmethod
    def _no_password(cls, value: Any) -> Any:
        if isinstance(value, dict) and "password" in value:
            raise ValueError("a password doesn't stand in a file: name a password_env or a password_file")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "CredentialForm":
        if len(self.sources) > 1:
            raise ValueError(f"a secret comes from one place, not from {' and '.join(self.sources)}")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys that say where the secret comes from."""
        return tuple(name for name in SOURCES if getattr(self, name))


class MaildropForm(Form):
    """A maildrop."""

    status: Standing = "active"
    policy: PolicyValues = {}
    aliases: list[AddressText] = []
    credentials: dict[
        Annotated[str, AfterValidator(parse_label)], Annotated[CredentialForm, BeforeValidator(_named)]
    ] = {}


class DomainForm(Form):
    """A domain."""

    status: Standing = "active"
    catch_all: AddressText | None = None


class TenantForm(Form):
    """A tenant."""

    status: Standing = "active"
    policy: PolicyValues = {}
    directory: Annotated[str, AfterValidator(parse_directory_name)] | None = None
    """The outside directory that keeps its users, by its name in the settings; `own`, or null for the default."""
    domains: dict[Annotated[str, AfterValidator(_domain)], Annotated[DomainForm, BeforeValidator(_named)]] = {}
    maildrops: dict[AddressText, Annotated[MaildropForm, BeforeValidator(_named)]] = {}


class DocumentForm(Form):
    """One document."""

    tenants: dict[Annotated[str, AfterValidator(parse_tenant_name)], Annotated[TenantForm, BeforeValidator(_named)]]
