"""Many maildrops at once: what one row of a list asks for, and what becomes of it.

Owns the judgement that the vendors of `tenancy.MaildropBatches` share: a row whose names are taken is refused by itself
and keeps no other out. Refuses to know where a list comes from and how rows are stored.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from service.mail.changing import Shut, app_password_stays
from service.mail.new_names import unfit_alias, unfit_maildrop
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential, Overrides


@dataclass(frozen=True, slots=True, eq=False)
class MaildropRow:
    """A maildrop as a list has it; a status of None is active for a new one, and stays for one that is there."""

    address: Address
    status: Status | None = None
    policy: Overrides = field(default_factory=dict)
    aliases: tuple[Address, ...] = ()
    credential: NewCredential | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """What is done with maildrops that are there already; nothing, unless one of these is true."""

    update: bool = False
    """Change their status and policy as the row says, and add its aliases."""
    reset: bool = False
    """Put the row's credential in the place of the one under its label."""

    @property
    def touches(self) -> bool:
        """Whether they are touched at all."""
        return self.update or self.reset


class Outcome(Enum):
    """What became of a row that was not refused."""

    CREATED = "created"
    UPDATED = "updated"
    KEPT = "kept"
    """It was there already, and nothing had to be changed."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a tenant that matter to a batch."""

    domains: AbstractSet[str]
    maildrops: Mapping[Address, UUID]
    aliases: Mapping[Address, Address] = field(default_factory=dict)
    """Each with its maildrop's address."""
    app_passwords: AbstractSet[tuple[Address, str]] = frozenset()
    """The maildrops' addresses with their labels; complete where credentials are to be replaced."""
    shut: Mapping[tuple[Address, str], Shut] = field(default_factory=dict)
    """Passwords that open nothing now; as complete."""


def judged(rows: Sequence[MaildropRow], names: Names, manner: Manner) -> list[Outcome | Refusal]:
    """What is to become of each row; UPDATED where one that is there may have to be changed."""
    judge = _Judge(names, {row.address for row in rows}, dict(names.aliases))
    return [judge.outcome(row, manner) for row in rows]


@dataclass(frozen=True, slots=True)
class _Judge:
    names: Names
    listed: AbstractSet[Address]
    aliases: dict[Address, Address]

    def outcome(self, row: MaildropRow, manner: Manner) -> Outcome | Refusal:
        known = row.address in self.names.maildrops
        if known and not manner.touches:
            return Outcome.KEPT
        aliases = row.aliases if manner.update or not known else ()
        refusal = self._taken(row.address, known) or (self._limited(row) if manner.reset else None)
        refusal = refusal or next(filter(None, (self._alias(row, a) for a in aliases)), None)
        if refusal is not None:
            return refusal
        self.aliases.update(dict.fromkeys(aliases, row.address))
        return Outcome.UPDATED if known else Outcome.CREATED

    def _taken(self, address: Address, known: bool) -> Refusal | None:
        if address.domain not in self.names.domains:
            return Refusal(Reason.NOT_FOUND, f"there is no domain {address.domain}")
        if known:
            return None
        return Refusal(Reason.EXISTS, f"{address} is an alias") if address in self.aliases else unfit_maildrop(address)

    def _limited(self, row: MaildropRow) -> Refusal | None:
        if row.credential is None:
            return None
        name = row.address, row.credential.label
        if name in self.names.app_passwords:
            return app_password_stays(*name)
        shut = self.names.shut.get(name)
        return shut.refusal(row.address, row.credential) if shut else None

    def _alias(self, row: MaildropRow, alias: Address) -> Refusal | None:
        if alias.domain not in self.names.domains:
            return Refusal(Reason.NOT_FOUND, f"there is no domain {alias.domain}")
        leads = self.aliases.get(alias, row.address)
        if leads != row.address:
            return Refusal(Reason.EXISTS, f"the alias {alias} leads to {leads} already")
        taken = alias in self.names.maildrops or alias in self.listed
        if taken:
            return Refusal(Reason.EXISTS, f"the alias {alias} is a maildrop")
        return None if alias in self.names.aliases else unfit_alias(alias)
