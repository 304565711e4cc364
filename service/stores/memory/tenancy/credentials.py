"""The in-memory twin of the credentials.

Owns the same answers as `stores.postgres.tenancy.credentials`. Refuses to read a verifier back.
"""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from service.mail.changing import changed
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import CredentialView, NewCredential
from service.stores.memory.state import CredentialRow, MemoryState
from service.stores.memory.tenancy.rows import maildrop_row, record


class MemoryCredentials:
    """Implements `mail.tenancy.Credentials`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, act: Act, address: Address, credential: NewCredential) -> CredentialView:
        """Add the credential. Raises Refusal: NOT_FOUND, EXISTS."""
        c = credential
        if any(row.label == c.label for row in self._rows(act.tenant, address)):
            raise Refusal(Reason.EXISTS, f"{address} has a credential labelled {c.label} already")
        key = maildrop_row(self._state, act.tenant, address).key
        row = CredentialRow(
            key,
            c.credential_id or uuid4(),
            c.verifier,
            c.kind,
            c.label,
            expires=c.expires,
            scram=c.scram,
            policy=dict(c.policy),
        )
        self._state.credentials.append(row)
        detail = {"kind": c.kind, "expires": c.expires and c.expires.isoformat(), "policy": dict(c.policy)}
        self._record(act, "create", (address, c.label), detail)
        return _view(row)

    async def of(self, tenant: str, address: Address) -> Sequence[CredentialView]:
        """All credentials of the maildrop by label. Raises Refusal(NOT_FOUND)."""
        return sorted(map(_view, self._rows(tenant, address)), key=lambda view: view.label)

    async def replace(self, act: Act, address: Address, credential: NewCredential) -> None:
        """Put another credential under the same label. Raises Refusal(NOT_FOUND)."""
        c = credential
        row = self._row(act.tenant, address, c.label)
        row.credential_id = c.credential_id or uuid4()
        row.kind, row.verifier, row.expires, row.scram = c.kind, c.verifier, c.expires, c.scram
        row.policy = {}
        detail = {"kind": c.kind, "expires": c.expires and c.expires.isoformat()}
        self._record(act, "replace", (address, c.label), detail)

    async def change(self, act: Act, address: Address, credential: NewCredential, *, suspended: bool = False) -> None:
        """Put another verifier under the same label, as `changed`. Raises Refusal: NOT_FOUND, INVALID."""
        there = await self.of(act.tenant, address)
        new = changed(there, address, credential, self._state.now(), suspended=suspended)
        await self.replace(act, address, new)

    async def set_status(self, act: Act, address: Address, label: str, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        self._row(act.tenant, address, label).status = status.value
        self._record(act, "status", (address, label), {"status": status.value})

    async def remove(self, act: Act, address: Address, label: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        self._state.credentials.remove(self._row(act.tenant, address, label))
        self._record(act, "remove", (address, label), {})

    def _rows(self, tenant: str, address: Address) -> list[CredentialRow]:
        key = maildrop_row(self._state, tenant, address).key
        return [row for row in self._state.credentials if row.key == key]

    def _row(self, tenant: str, address: Address, label: str) -> CredentialRow:
        for row in self._rows(tenant, address):
            if row.label == label:
                return row
        raise Refusal(Reason.NOT_FOUND, f"{address} has no credential labelled {label}")

    def _record(self, act: Act, verb: str, name: tuple[Address, str], detail: Mapping[str, object]) -> None:
        address, label = name
        tenant = self._state.tenants[maildrop_row(self._state, act.tenant, address).key.tenant_id]
        record(self._state, tenant, act, (f"credential.{verb}", str(address)), {"label": label, **detail})


def _view(row: CredentialRow) -> CredentialView:
    return CredentialView(
        row.credential_id,
        row.label,
        row.kind,
        Status(row.status),
        row.created,
        row.expires,
        row.last_used,
        dict(row.policy),
    )
