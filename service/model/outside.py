"""What an outside directory is asked about an address, and what it may answer.

Owns the shapes of question and answer, and which names a directory may have. Refuses to know how one is reached.
An outside directory is a system of the provider's own that keeps the users of some tenants, so that they need not be
copied: it brings what is stored for an address, or judges the password itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.model.account import Credential
from service.model.address import Address, parse_address
from service.model.policy import Policy, PolicyValue

OWN = "own"
"""What a tenant chooses whose users are Poplar's own, whatever the service's default is."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Question:
    """Who somebody claims to be. Without a password: only whether the address is known. No log may have it (G17)."""

    address: Address
    tenant: str
    password: str | None = field(default=None, repr=False)
    client: str = ""
    """The client's network address."""
    mechanism: str = ""
    listener: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """The address is known, and this is what proves its passwords; without credentials nobody can log in."""

    credentials: tuple[Credential, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The directory knows the address, and found its password right if it was given one."""

    label: str = ""
    """What the directory calls the password, such as a device."""
    policy: Mapping[str, PolicyValue] = field(default_factory=dict)
    """Sound values of the policy that hold for this session, whatever tenant and maildrop set."""

    def over(self, policy: Policy) -> Policy:
        """`policy` with these values over it."""
        return replace(policy, **self.policy)  # type: ignore[arg-type]


Answer = Stored | Allowed | None
"""None: no such address, or a wrong password."""


def parse_directory_name(text: str) -> str:
    """The directory's name in `text`. Raises ValueError when it isn't one."""
    if not _NAME.fullmatch(text):
        raise ValueError("a directory's name has 1 to 32 of a-z, 0-9 and -, and doesn't begin with -")
    return text


def login_address(name: str) -> Address | None:
    """The address that `name` logs in with, or None. A tag names nobody: one account has one name."""
    try:
        address = parse_address(name)
    except ValueError:
        return None
    return None if "+" in name.rpartition("@")[0] else address
