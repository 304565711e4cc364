"""Options and arguments that the tenancy verbs share, and how their text becomes values.

Owns the flags' names and help. Refuses to know what is done with the values.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from service.model.account import Status
from service.model.policy import PolicyValue
from service.model.policy_table import NARROWING, POLICY_NAMES, RULES
from service.model.tenancy import DomainView, MaildropView, Overrides, PolicyChange, TenantView

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Replace = Annotated[bool, typer.Option("--replace", help="Put it in the place of the one under this label.")]
Cascade = Annotated[bool, typer.Option("--cascade", help="Remove all that it holds too.")]
TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's name: a-z, 0-9 and -.")]
DomainName = Annotated[str, typer.Argument(metavar="DOMAIN")]
AddressName = Annotated[str, typer.Argument(metavar="ADDRESS", help="The maildrop's address.")]
LabelName = Annotated[str, typer.Argument(metavar="LABEL", help="The credential's label.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", metavar="TENANT", help="Only this tenant's.")]
WithStatus = Annotated[Status | None, typer.Option("--status", help="Only those that are so.")]

_INHERIT = "inherit"


def _flag(name: str) -> Any:
    """The option for one policy value: what it takes and what it is for, as the table says."""
    rule = RULES[name]
    also = "'none', 'inherit'" if rule.optional else "'inherit'"
    return typer.Option(metavar=rule.metavar, help=f"Policy: {rule.help}; or {also}.")


def _narrowing(name: str) -> Any:
    rule = RULES[name]
    return typer.Option(metavar=rule.metavar, help=f"With --app, {rule.help}.")


@dataclass(frozen=True, slots=True)
class PolicyFlags:
    """The policy values of one level, as they were typed."""

    login_delay: Annotated[str | None, _flag("login_delay")] = None
    expire_days: Annotated[str | None, _flag("expire_days")] = None
    quota_octets: Annotated[str | None, _flag("quota_octets")] = None
    quota_messages: Annotated[str | None, _flag("quota_messages")] = None
    pop3: Annotated[str | None, _flag("pop3")] = None
    mechanisms: Annotated[str | None, _flag("mechanisms")] = None
    networks: Annotated[str | None, _flag("networks")] = None
    app_passwords: Annotated[str | None, _flag("app_passwords")] = None
    login_burst: Annotated[str | None, _flag("login_burst")] = None
    sessions_per_address: Annotated[str | None, _flag("sessions_per_address")] = None
    sessions_per_tenant: Annotated[str | None, _flag("sessions_per_tenant")] = None
    octets_per_day: Annotated[str | None, _flag("octets_per_day")] = None
    dele: Annotated[str | None, _flag("dele")] = None
    undo_days: Annotated[str | None, _flag("undo_days")] = None
    retrieved_days: Annotated[str | None, _flag("retrieved_days")] = None
    shown_since: Annotated[str | None, _flag("shown_since")] = None
    shown_days: Annotated[str | None, _flag("shown_days")] = None
    recent_days: Annotated[str | None, _flag("recent_days")] = None
    order: Annotated[str | None, _flag("order")] = None

    def asked(self) -> PolicyChange:
        """What the flags ask for, which must be something."""
        if not (change := self.change()).values and not change.inherited:
            raise typer.BadParameter("name at least one value to change")
        return change

    def change(self) -> PolicyChange:
        """What the flags ask for; those left out stay as they are."""
        typed = {name: text for name in POLICY_NAMES if (text := getattr(self, name)) is not None}
        values = {name: _parsed(name, text) for name, text in typed.items() if text != _INHERIT}
        return PolicyChange(values, frozenset(typed) - frozenset(values))


@dataclass(frozen=True, slots=True)
class AppFlags:
    """Whether an app password is wanted, and what it may do less than its maildrop, as it was typed."""

    app: Annotated[
        bool, typer.Option("--app", help="Make an app password, for one device or program, and print it, once.")
    ] = False
    mechanisms: Annotated[str | None, _narrowing("mechanisms")] = None
    networks: Annotated[str | None, _narrowing("networks")] = None
    dele: Annotated[str | None, _narrowing("dele")] = None
    shown_since: Annotated[str | None, _narrowing("shown_since")] = None
    shown_days: Annotated[str | None, _narrowing("shown_days")] = None

    def narrowing(self) -> Overrides:
        """What the flags ask for."""
        typed = {name: text for name in NARROWING if (text := getattr(self, name)) is not None}
        if typed and not self.app:
            raise typer.BadParameter("only an app password (--app) has limits of its own")
        return {name: _parsed(name, text) for name, text in typed.items()}


def _parsed(name: str, text: str) -> PolicyValue:
    try:
        return RULES[name].parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"--{name.replace('_', '-')}") from error


@dataclass(frozen=True, slots=True)
class SecretFlags:
    """Where a password comes from: asked for without echo unless one of these says otherwise."""

    generate: Annotated[bool, typer.Option("--generate", help="Make one up and print it, once.")] = False
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from standard input.")] = False

    def password(self, generated: str) -> str:
        """The password, without the line end it was typed with."""
        if self.generate:
            return generated
        if self.password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked


@dataclass(frozen=True, slots=True)
class NamingFlags:
    """What a credential is called and until when it holds."""

    label: Annotated[str, typer.Option(help="Its name within the maildrop, such as a device.")] = "main"
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends, in UTC.")
    ] = None

    @property
    def ends(self) -> datetime | None:
        """When the credential ends, in UTC."""
        return self.expires and self.expires.replace(tzinfo=UTC)


def typed_verifier() -> str:
    """A verifier, as `typed_secret`."""
    return typed_secret("Verifier")


def typed_secret(prompt: str = "Secret") -> str:
    """A secret from standard input, never from the command line, which every process on the machine may read.

    Raises BadParameter where there is none: to store that would erase the one that is stored.
    """
    if sys.stdin.isatty():
        asked: str = typer.prompt(prompt, hide_input=True)
        return asked
    if secret := sys.stdin.readline().strip():
        return secret
    raise typer.BadParameter(f"standard input holds no {prompt.lower()}")


def standing(status: Status | None) -> "Callable[[TenantView | DomainView | MaildropView], bool]":
    """The filter by status; all pass where none is asked for."""
    return lambda view: status in (None, view.status)


def confirmed(question: str, yes: bool) -> None:
    """Ask a person before what can't be undone; a program isn't asked. Exits with 1 on no."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)
