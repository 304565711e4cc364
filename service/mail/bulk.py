"""A long list of maildrops, batch after batch: what can be kept is kept, whatever stands in other lines.

Owns the size of a batch, and that a password is hashed only where it will be stored, several at a time. Refuses to read
a list, and to show progress.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice

from service.mail.batches import MaildropRow, Manner, Outcome
from service.mail.naming import found
from service.mail.passwords import Passwords
from service.mail.tenancy import Act, Tenancy
from service.model.address import Address
from service.model.refusal import Reason, Refusal

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: a maildrop, with a password still to be hashed, or why it is none."""

    line: int
    text: str
    """The address as it was written."""
    row: MaildropRow | Refusal
    password: str | None = field(default=None, repr=False)
    label: str = ""
    octets: int = 0
    """How long the line is."""


Told = tuple[Entry, Outcome | Refusal]


@dataclass(frozen=True, slots=True)
class BulkImport:
    """Who imports, and how; with `tenant`, a domain of any other isn't there."""

    tenancy: Tenancy
    passwords: Passwords
    actor: str
    manner: Manner
    tenant: str | None = None
    owners: dict[str, str | None] = field(default_factory=dict)
    """The tenants of the domains that were looked up."""

    async def run(self, entries: Iterable[Entry]) -> AsyncIterator[Sequence[Told]]:
        """What became of each entry, batch after batch; another run goes on where this one broke off.

        Raises Refusal: NOT_FOUND when there is no such tenant, before any entry is read; UNAVAILABLE.
        """
        if self.tenant is not None:
            found(await self.tenancy.tenants.find(self.tenant), f"there is no tenant {self.tenant}")
        seen: dict[Address, int] = {}
        remaining = iter(entries)
        while batch := list(islice(remaining, BATCH)):
            judged = [(entry, await self._owner(entry, seen)) for entry in batch]
            told: list[Told] = [(entry, owner) for entry, owner in judged if isinstance(owner, Refusal)]
            for tenant in sorted({owner for _, owner in judged if isinstance(owner, str)}):
                told += await self._put(tenant, [entry for entry, owner in judged if owner == tenant])
            yield told

    async def _owner(self, entry: Entry, seen: dict[Address, int]) -> str | Refusal:
        """The tenant that the entry's maildrop belongs to, or why there is none."""
        if isinstance(entry.row, Refusal):
            return entry.row
        address = entry.row.address
        if (first := seen.setdefault(address, entry.line)) != entry.line:
            return Refusal(Reason.EXISTS, f"line {first} has {address} already")
        return await self._tenant(address.domain) or Refusal(Reason.NOT_FOUND, f"there is no domain {address.domain}")

    async def _tenant(self, domain: str) -> str | None:
        if domain not in self.owners:
            view = await self.tenancy.domains.find(domain)
            self.owners[domain] = view.tenant if view is not None and self.tenant in (None, view.tenant) else None
        return self.owners[domain]

    async def _put(self, tenant: str, entries: Sequence[Entry]) -> list[Told]:
        rows = await self._armed(tenant, entries)
        good = [(entry, row) for entry, row in zip(entries, rows, strict=True) if isinstance(row, MaildropRow)]
        bad = [(entry, row) for entry, row in zip(entries, rows, strict=True) if isinstance(row, Refusal)]
        outcomes = await self.tenancy.batches.put(Act(self.actor, tenant), [row for _, row in good], self.manner)
        return [*bad, *((entry, outcome) for (entry, _), outcome in zip(good, outcomes, strict=True))]

    async def _armed(self, tenant: str, entries: Sequence[Entry]) -> Sequence[MaildropRow | Refusal]:
        """The rows with their credentials: no password is hashed for a maildrop that keeps the one it has."""
        rows = [entry.row for entry in entries if isinstance(entry.row, MaildropRow) and entry.password is not None]
        keep = not self.manner.reset and rows
        there = (
            await self.tenancy.batches.there(tenant, [row.address for row in rows]) if keep else frozenset[Address]()
        )
        return await asyncio.gather(*(self._hashed(entry, there) for entry in entries))

    async def _hashed(self, entry: Entry, there: AbstractSet[Address]) -> MaildropRow | Refusal:
        row, password = entry.row, entry.password
        if isinstance(row, Refusal) or password is None or row.address in there:
            return row
        try:
            return replace(row, credential=await self.passwords.credential(password, entry.label))
        except Refusal as refusal:
            return refusal
