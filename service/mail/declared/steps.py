"""One step from what there is to what is declared: what it changes, in words, and the act that does it.

Owns what a step tells before it is taken. Refuses to decide that it is needed, and to show a secret.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from service.mail.declared.wanted import Secret
from service.mail.passwords import Passwords
from service.mail.tenancy import Act, Tenancy
from service.model.address import Address
from service.model.tenancy import NewCredential


class Kind(Enum):
    """What becomes of the thing that a step names."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """A value before and after; None before where there was none."""

    name: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Need:
    """A secret that a step can't be taken without."""

    address: Address
    label: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Hands:
    """What steps are taken with: the ports of one transaction, and credentials made before it began."""

    tenancy: Tenancy
    act: Act
    safe: "Safe"


@dataclass(frozen=True, slots=True)
class Safe:
    """Credentials out of secrets, each made once: hashing takes long, and no transaction waits for it."""

    passwords: Passwords
    made: dict[tuple[Address, str], NewCredential] = field(default_factory=dict, repr=False)

    async def credential(self, need: Need) -> NewCredential:
        """The credential. Raises Refusal: INVALID, also when the secret isn't there; OVERLOADED."""
        name = need.address, need.label
        if name not in self.made:
            text = need.secret.read()
            made = self.passwords.adopted if need.secret.hashed else None
            self.made[name] = made(text, need.label) if made else await self.passwords.credential(text, need.label)
        return self.made[name]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one thing, `what` it is and what it is called."""

    kind: Kind
    what: str
    name: str
    do: Callable[[Hands], Awaitable[object]] = field(repr=False, compare=False)
    changes: tuple[Change, ...] = ()
    need: Need | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> tuple[Kind, str, str]:
        """Which step it is, whatever its values."""
        return self.kind, self.what, self.name


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Change, ...]:
    """What differs, by name: an absent value is inherited."""
    return tuple(
        Change(name, before.get(name, "inherited"), after.get(name, "inherited"))
        for name in sorted({*before, *after})
        if (name in before, before.get(name)) != (name in after, after.get(name))
    )
