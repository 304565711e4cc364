"""The in-memory twin of the batches.

Owns the same answers as `stores.postgres.tenancy.batches`. Refuses to decide what becomes of a row.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import uuid4

from service.mail.batches import MaildropRow, Manner, Names, Outcome, judged
from service.mail.changing import Shut
from service.mail.tenancy import Act
from service.model.account import MaildropKey, Status
from service.model.address import Address
from service.model.app_password import KIND as APP
from service.model.refusal import Refusal
from service.stores.memory import state as kept
from service.stores.memory.tenancy.rows import owned, record, tenant_or_none, tenant_row


class MemoryMaildropBatches:
    """Implements `mail.tenancy.MaildropBatches`."""

    def __init__(self, state: kept.MemoryState) -> None:
        self._state = state

    async def there(self, tenant: str, addresses: Sequence[Address]) -> AbstractSet[Address]:
        """Which of these are maildrops of the tenant's."""
        row = tenant_or_none(self._state, tenant)
        return {Address(each.local, each.domain) for each in owned(self._state, row)} & set(addresses)

    async def put(self, act: Act, rows: Sequence[MaildropRow], manner: Manner) -> Sequence[Outcome | Refusal]:
        """What became of each row. Raises Refusal(NOT_FOUND)."""
        tenant = tenant_row(self._state, act.tenant)
        outcomes = judged(rows, self._names(tenant), manner)
        done = [self._done(tenant, row, each, manner) for row, each in zip(rows, outcomes, strict=True)]
        updated = [str(row.address) for row, each in zip(rows, done, strict=True) if each is Outcome.UPDATED]
        created = done.count(Outcome.CREATED)
        if created or updated:
            detail = {"created": created, "updated": updated}
            record(self._state, tenant, act, ("maildrop.batch", act.tenant), detail)
        return done

    def _names(self, tenant: kept.TenantRow) -> Names:
        of_tenant = [d for d in self._state.domains if d.tenant_id == tenant.tenant_id and d.status != kept.REMOVED]
        maildrops = {Address(m.local, m.domain): m.key.maildrop_id for m in owned(self._state, tenant)}
        addresses = {maildrop_id: address for address, maildrop_id in maildrops.items()}
        aliases = {
            Address(local, domain): addresses[target]
            for (owner, domain, local), target in self._state.aliases.items()
            if owner == tenant.tenant_id and target in addresses
        }
        apps = {
            (addresses[each.key.maildrop_id], each.label)
            for each in self._state.credentials
            if each.kind == APP and each.key.maildrop_id in addresses
        }
        shut = {
            (addresses[each.key.maildrop_id], each.label): Shut(
                each.verifier, each.status == kept.SUSPENDED, self._ended(each)
            )
            for each in self._state.credentials
            if each.key.maildrop_id in addresses and (each.status == kept.SUSPENDED or self._ended(each))
        }
        return Names({each.name for each in of_tenant}, maildrops, aliases, apps, shut)

    def _ended(self, credential: kept.CredentialRow) -> datetime | None:
        """When it ended, if it did."""
        end = credential.expires
        return end if end is not None and end <= self._state.now() else None

    def _done(
        self, tenant: kept.TenantRow, row: MaildropRow, outcome: Outcome | Refusal, manner: Manner
    ) -> Outcome | Refusal:
        if outcome is Outcome.CREATED:
            self._create(tenant, row)
        if outcome is Outcome.UPDATED:
            return Outcome.UPDATED if self._updated(tenant, row, manner) else Outcome.KEPT
        return outcome

    def _create(self, tenant: kept.TenantRow, row: MaildropRow) -> None:
        key, status = MaildropKey(tenant.tenant_id, uuid4()), row.status or Status.ACTIVE
        made = kept.MaildropRow(key, row.address.domain, row.address.local, status.value, dict(row.policy))
        self._state.maildrops[key] = made
        self._name(made, row)
        self._arm(made, row)

    def _updated(self, tenant: kept.TenantRow, row: MaildropRow, manner: Manner) -> bool:
        maildrop = next(m for m in owned(self._state, tenant, row.address.domain) if m.local == row.address.local)
        before = maildrop.status, dict(maildrop.policy)
        changed = False
        if manner.update:
            maildrop.status = row.status.value if row.status else maildrop.status
            maildrop.policy |= row.policy
            changed = self._name(maildrop, row) or before != (maildrop.status, maildrop.policy)
        return (manner.reset and self._arm(maildrop, row)) or changed

    def _name(self, maildrop: kept.MaildropRow, row: MaildropRow) -> bool:
        names = {(maildrop.key.tenant_id, alias.domain, alias.local): maildrop.key.maildrop_id for alias in row.aliases}
        new = set(names) - set(self._state.aliases)
        self._state.aliases |= names
        return bool(new)

    def _arm(self, maildrop: kept.MaildropRow, row: MaildropRow) -> bool:
        c = row.credential
        if c is None:
            return False
        of_maildrop = [each for each in self._state.credentials if each.key == maildrop.key and each.label == c.label]
        for each in of_maildrop:
            if each.verifier == c.verifier:
                return False
            each.credential_id, each.kind, each.verifier, each.scram = uuid4(), c.kind, c.verifier, c.scram
            each.expires = c.expires or each.expires
            return True
        made = kept.CredentialRow(maildrop.key, uuid4(), c.verifier, c.kind, c.label, expires=c.expires, scram=c.scram)
        self._state.credentials.append(made)
        return True
