"""The in-memory twin of the directory.

Owns the same answers as `stores.postgres.directory`, over `MemoryState`. Refuses to write.
RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

import hashlib
from dataclasses import replace
from datetime import datetime

from service.model.account import Account, Credential, Recipient
from service.model.address import Address, parse_address
from service.model.policy import Announced, Policy
from service.model.policy_table import policy_of
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import ACTIVE, REMOVED, CredentialRow, MaildropRow, MemoryState


class MemoryDirectory:
    """Implements `mail.ports.Directory`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def find(self, name: str) -> Account | None:
        """The account whose address is `name`, or None."""
        try:
            address = parse_address(name)
        except ValueError:
            return None
        domain = self._state.domain(address.domain)
        row = self._state.maildrop(domain, address.local) if domain and "+" not in name.rpartition("@")[0] else None
        return self._account(row) if row else None

    async def resolve(self, address: Address) -> Recipient:
        """Where mail for `address` goes. Raises Refusal: NO_RECIPIENT, SUSPENDED, OVER_QUOTA."""
        row, stands_in = self._target(address)
        policy = self._state.policy(row)
        if not self._state.active(row):
            raise Refusal(Reason.SUSPENDED, f"{row.address} is suspended")
        if _is_full(row, policy):
            raise Refusal(Reason.OVER_QUOTA, f"{row.address} holds {row.octets} octets")
        delivered_to = address.base if stands_in else row.address
        return Recipient(row.key, self._tenant(row), row.address, delivered_to, policy)

    async def announced(self) -> Announced:
        """The extremes over all tenants and maildrops with a policy of their own."""
        state = self._state
        tenants = {t.tenant_id: t for t in state.tenants.values() if t.status != REMOVED}
        policies = [policy_of(t.policy) for t in tenants.values()] + [
            state.policy(m)
            for m in state.maildrops.values()
            if m.policy and m.status != REMOVED and m.key.tenant_id in tenants
        ]
        delays = {p.login_delay for p in policies}
        days = {p.retention for p in policies}
        smallest = min((d for d in days if d is not None), default=None)
        return Announced(max(delays, default=0), len(delays) > 1, smallest, len(days) > 1)

    def _target(self, address: Address) -> tuple[MaildropRow, bool]:
        domain = self._state.domain(address.domain)
        if domain is not None:
            named = self._state.maildrop(domain, address.local) or self._state.aliased(domain, address.local)
            row = named or self._state.aliased(domain, "")
            if row is not None:
                return row, named is None
        raise Refusal(Reason.NO_RECIPIENT, f"no maildrop, alias or catch-all for {address.base}")

    def _account(self, row: MaildropRow) -> Account:
        usable = [c for c in self._state.credentials if c.key == row.key and _usable(c, self._state.now())]
        newest_first = sorted(usable, key=lambda c: c.created, reverse=True)
        credentials = tuple(map(_credential, newest_first))
        policy, active = self._state.policy(row), self._state.active(row)
        chosen = self._state.tenants[row.key.tenant_id].directory
        account = Account(row.key, self._tenant(row), row.address, active, policy, credentials, chosen)
        return replace(account, seen=hashlib.sha256(repr(account).encode()).digest())

    def _tenant(self, row: MaildropRow) -> str:
        return self._state.tenants[row.key.tenant_id].name


def _usable(credential: CredentialRow, now: datetime) -> bool:
    return credential.status == ACTIVE and (credential.expires is None or credential.expires > now)


def _credential(row: CredentialRow) -> Credential:
    return Credential(row.credential_id, row.kind, row.verifier, row.label, row.expires, row.scram, dict(row.policy))


def _is_full(row: MaildropRow, policy: Policy) -> bool:
    return (policy.quota_messages is not None and row.messages >= policy.quota_messages) or (
        policy.quota_octets is not None and row.octets >= policy.quota_octets
    )
