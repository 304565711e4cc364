"""Which outside directory keeps a tenant's users: staff's choice, by the name that the settings give it.

Owns the use case. The settings hold the secrets, and may differ from one process to another, so that a name is checked
for its form alone: `poplar doctor` finds the ones that no settings have. Refuses to ask a directory.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.mail.naming import plainly
from service.model.outside import parse_directory_name

if TYPE_CHECKING:
    from service.mail.provisioning import Office


@dataclass(frozen=True, slots=True)
class DirectoryView:
    """A tenant's choice: a directory's name, `own` for Poplar's own credentials, None for the service's default."""

    directory: str | None


@dataclass(frozen=True, slots=True)
class DirectoryProvisioning:
    """The choice, by the tenant's name."""

    office: "Office"

    async def show(self, tenant: str) -> DirectoryView:
        """Raises Refusal(NOT_FOUND)."""
        return DirectoryView(await self.office.tenancy.directories.of(tenant))

    async def choose(self, tenant: str, directory: str | None) -> DirectoryView:
        """Raises Refusal: INVALID, NOT_FOUND. What stands already is written, and audited, no second time."""
        with plainly():
            name = None if directory is None else parse_directory_name(directory)
        if name != await self.office.tenancy.directories.of(tenant):
            await self.office.tenancy.directories.choose(self.office.act(tenant), name)
        return DirectoryView(name)
