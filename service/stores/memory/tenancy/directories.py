"""The in-memory twin of the choices of outside directories.

Owns the same answers as `stores.postgres.tenancy.directories`. Refuses to know directories.
"""

from service.mail.tenancy import Act
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy.rows import record, tenant_row


class MemoryDirectoryChoices:
    """Implements `mail.tenancy.DirectoryChoices`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def of(self, tenant: str) -> str | None:
        """What the tenant chose. Raises Refusal(NOT_FOUND)."""
        return tenant_row(self._state, tenant).directory

    async def choose(self, act: Act, directory: str | None) -> None:
        """Raises Refusal(NOT_FOUND)."""
        row = tenant_row(self._state, act.tenant)
        row.directory = directory
        record(self._state, row, act, ("tenant.directory", act.tenant), {"directory": directory})
