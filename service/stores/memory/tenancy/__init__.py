"""The in-memory twin of `mail.tenancy`'s ports.

Owns the same answers as `stores.postgres.tenancy`, over `MemoryState`. Refuses to await anything, so that each
act is one transaction.
"""

from service.mail.tenancy import Tenancy
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy.aliases import MemoryAliases
from service.stores.memory.tenancy.audit import MemoryAudit
from service.stores.memory.tenancy.batches import MemoryMaildropBatches
from service.stores.memory.tenancy.credentials import MemoryCredentials
from service.stores.memory.tenancy.directories import MemoryDirectoryChoices
from service.stores.memory.tenancy.domains import MemoryDomains
from service.stores.memory.tenancy.issuers import MemoryIssuers
from service.stores.memory.tenancy.listed_messages import MemoryListedMessages
from service.stores.memory.tenancy.maildrops import MemoryMaildrops
from service.stores.memory.tenancy.removed_messages import MemoryRemovedMessages
from service.stores.memory.tenancy.tenants import MemoryTenants


def memory_tenancy(state: MemoryState) -> Tenancy:
    """All ports of provisioning over one state."""
    return Tenancy(
        MemoryTenants(state),
        MemoryDomains(state),
        MemoryMaildrops(state),
        MemoryListedMessages(state),
        MemoryRemovedMessages(state),
        MemoryAliases(state),
        MemoryCredentials(state),
        MemoryAudit(state),
        MemoryMaildropBatches(state),
        MemoryDirectoryChoices(state),
        MemoryIssuers(state),
    )
