"""Outside directories: systems of the provider's own that keep the users of some tenants.

Owns how each is reached, what it is asked, and what it may use of a process. Refuses to know which tenant uses which: a
tenant's row names one, and holds no secret. A password leaves for a hook over TLS alone (RFC 8314 §3).
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from service.settings.section import Count, CountOrNone, Seconds, SecretUrl, Section
from service.settings.urls import check_login

OWN = "own"
HOOKS = ("https", "http")
QUERIES = ("postgresql", "postgres", "mysql")
SECRET_LEAST = 32
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class OutsideDirectorySettings(Section):
    """One of them: a query on Postgres or MySQL, or an HTTP hook, by the scheme of its URL."""

    name: Name
    """What tenants choose it by, and its label in metrics: a-z, 0-9 and -."""
    url: SecretUrl
    """postgresql://, mysql:// (MariaDB too) with login and database; or the https:// of a hook."""
    query: str = ""
    """SQL that brings a row for each password of an address: verifier, and scram and label if there are such."""
    parameters: Annotated[tuple[Literal["address", "local", "domain"], ...], Field(min_length=1)] = ("address",)
    """What $1, $2 ... (MySQL: each ? in turn) of the query stand for: address, local (before the @), domain."""
    scram: bool = False
    """Whether the query brings a column scram with keys for SCRAM-SHA-256."""
    secret: SecretStr | None = None
    """Random text of 32 characters or more, by which a hook knows that a question comes from this service."""
    ca_file: Path | None = None
    """PEM file of the authority that signed the certificate of a hook or of MySQL; else the machine's own ones."""
    allow_clear: bool = False
    """Whether a hook on loopback, or MySQL anywhere, may be reached without TLS."""
    provide: bool = False
    """Whether an address that it knows gets its maildrop by the first login or message; else staff create it."""
    connections: Count = 8
    """Questions under way at once by each process; each holds a connection."""
    queue: CountOrNone = 64
    """Questions that may wait for their turn; further logins are asked to come back."""
    deadline: Seconds = 5.0
    """Seconds that a question may take, its turn included; then the client is told to come back."""
    failures: Count = 5
    """Questions in a row without any answer after which it is left alone for a while."""
    pause: Seconds = 5.0
    """Seconds for which it is left alone; then one question tries whether it is back."""

    @property
    def is_hook(self) -> bool:
        """Whether it judges passwords itself."""
        return self._parts.scheme in HOOKS

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url.get_secret_value())

    @field_validator("url")
    @classmethod
    def _login_can_be_told(cls, value: SecretUrl) -> SecretUrl:
        # The path of a hook may hold an @, and its URL no password.
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in HOOKS)):
            check_login(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> "OutsideDirectorySettings":
        if self.name == OWN:
            raise ValueError("the name own stands for Poplar's own credentials")
        if self._parts.scheme not in (*HOOKS, *QUERIES):
            raise ValueError("url must begin with postgresql://, mysql:// or https://")
        if self.is_hook:
            self._is_a_hook()
        elif not self.query.strip():
            raise ValueError("a database needs a query")
        return self

    def _is_a_hook(self) -> None:
        secret = self.secret.get_secret_value() if self.secret else ""
        if len(secret) < SECRET_LEAST:
            raise ValueError(f"a hook needs a secret of at least {SECRET_LEAST} characters")
        if self.query or self.scram:
            raise ValueError("a hook has neither query nor scram")
        if self._parts.scheme == "http" and not (self.allow_clear and _is_loopback(self._parts.hostname or "")):
            raise ValueError("a password goes to a hook over https:// alone, or to loopback where allow_clear is true")


class DirectorySettings(Section):
    """Where users are kept that Poplar itself doesn't keep."""

    default: str = ""
    """The name of the outside directory of every tenant that chose none; empty for Poplar's own credentials."""
    outside: tuple[OutsideDirectorySettings, ...] = ()
    """The outside directories: a list, in the environment as JSON."""

    @model_validator(mode="after")
    def _fit_together(self) -> "DirectorySettings":
        names = [each.name for each in self.outside]
        if len(set(names)) < len(names):
            raise ValueError("two outside directories must not have the same name")
        if self.default not in ("", OWN, *names):
            raise ValueError("default must be the name of one of the outside directories")
        return self

    @property
    def may_scram(self) -> bool:
        """Whether SCRAM can succeed for tenants that chose no directory: it is offered only then."""
        return all(each.scram for each in self.outside if each.name == self.default)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
