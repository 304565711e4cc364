"""Policy values in JSON, as a tenant, a maildrop or an app password sets them.

Owns their fields; bounds and words come from the one table of policies. An absent value is inherited, null lifts the
limit. Refuses fields it doesn't know: a misspelt one must not pass unseen.
RFC 2449 §6.5 (login_delay), §6.7 (expire_days).
"""

from typing import Annotated, Any, Literal

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

from service.model.policy import PolicyValue
from service.model.policy_rules import MOST_WORDS, Number
from service.model.policy_table import RULES
from service.model.tenancy import Overrides


class Form(BaseModel):
    """What clients write."""

    model_config = ConfigDict(extra="forbid")


def _without_defaults(schema: dict[str, Any]) -> None:
    """No default in the document: a client made from it would send them all, and nothing would be inherited."""
    for described in schema.get("properties", {}).values():
        described.pop("default", None)


class Values(Form):
    """Policy values; those that aren't given are left out, which isn't the same as null."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, plainly: SerializerFunctionWrapHandler) -> dict[str, PolicyValue | list[str]]:
        return {name: value for name, value in plainly(self).items() if name in self.model_fields_set}

    @property
    def overrides(self) -> Overrides:
        """The values that are given."""
        return self.model_dump(exclude_unset=True)


def _number(name: str) -> FieldInfo:
    """The bounds of a number, as the table of policies says."""
    rule = RULES[name]
    if not isinstance(rule, Number):
        raise TypeError(name)
    told: FieldInfo = Field(ge=rule.low, le=rule.high, description=_told(name))
    return told


def _several(name: str) -> FieldInfo:
    told: FieldInfo = Field(min_length=1, max_length=MOST_WORDS, description=_told(name))
    return told


def _told(name: str) -> str:
    text = RULES[name].help
    return f"{text[0].upper()}{text[1:]}."


Way = Literal["USER", "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", "EXTERNAL"]
Network = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$", description="In CIDR notation.")]
Mechanisms = Annotated[tuple[Way, ...], _several("mechanisms")]
Networks = Annotated[tuple[Network, ...], _several("networks")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description=_told("shown_since"))]
Days = Annotated[StrictInt, _number("shown_days")]
Dele = Annotated[Literal["refuse", "keep", "undo", "remove"], Field(description=_told("dele"))]
Order = Annotated[Literal["oldest", "newest"], Field(description=_told("order"))]
AppPasswords = Annotated[Literal["required", "allowed"], Field(description=_told("app_passwords"))]


class NarrowingValues(Values):
    """What an app password allows less than its maildrop's policy."""

    mechanisms: Mechanisms | None = None
    networks: Networks | None = None
    dele: Dele = "remove"
    shown_since: Day | None = None
    shown_days: Days | None = None


class PolicyValues(Values):
    """The policy values that one level sets."""

    login_delay: Annotated[StrictInt, _number("login_delay")] = 0
    expire_days: Annotated[StrictInt, _number("expire_days")] | None = None
    quota_octets: Annotated[StrictInt, _number("quota_octets")] | None = None
    quota_messages: Annotated[StrictInt, _number("quota_messages")] | None = None
    pop3: Annotated[StrictBool, Field(description=_told("pop3"))] = True
    mechanisms: Mechanisms | None = None
    networks: Networks | None = None
    app_passwords: AppPasswords = "allowed"
    login_burst: Annotated[StrictInt, _number("login_burst")] = 2
    sessions_per_address: Annotated[StrictInt, _number("sessions_per_address")] | None = None
    sessions_per_tenant: Annotated[StrictInt, _number("sessions_per_tenant")] | None = None
    octets_per_day: Annotated[StrictInt, _number("octets_per_day")] | None = None
    dele: Dele = "remove"
    undo_days: Annotated[StrictInt, _number("undo_days")] = 30
    retrieved_days: Annotated[StrictInt, _number("retrieved_days")] | None = None
    shown_since: Day | None = None
    shown_days: Days | None = None
    recent_days: Annotated[StrictInt, _number("recent_days")] | None = 30
    order: Order = "oldest"


PolicyName = Literal[
    "login_delay",
    "expire_days",
    "quota_octets",
    "quota_messages",
    "pop3",
    "mechanisms",
    "networks",
    "app_passwords",
    "login_burst",
    "sessions_per_address",
    "sessions_per_tenant",
    "octets_per_day",
    "dele",
    "undo_days",
    "retrieved_days",
    "shown_since",
    "shown_days",
    "recent_days",
    "order",
]
