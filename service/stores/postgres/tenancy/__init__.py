"""`mail.tenancy`'s ports on Postgres: what staff create, change and remove.

Owns the statements that write tenants, domains, maildrops, aliases and credentials, each with its audit row in one
transaction. Refuses to check values: they were when they came here. Locks are taken in one order: tenant, domains
by name, maildrops by id, messages; so two acts of staff, a delivery or an UPDATE never wait for each other in a ring.
"""

from service.mail.tenancy import Tenancy
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.aliases import PostgresAliases
from service.stores.postgres.tenancy.audit import PostgresAudit
from service.stores.postgres.tenancy.batches import PostgresMaildropBatches
from service.stores.postgres.tenancy.credentials import PostgresCredentials
from service.stores.postgres.tenancy.directories import PostgresDirectoryChoices
from service.stores.postgres.tenancy.domains import PostgresDomains
from service.stores.postgres.tenancy.issuers import PostgresIssuers
from service.stores.postgres.tenancy.listed_messages import PostgresListedMessages
from service.stores.postgres.tenancy.maildrops import PostgresMaildrops
from service.stores.postgres.tenancy.removed_messages import PostgresRemovedMessages
from service.stores.postgres.tenancy.tenants import PostgresTenants


def postgres_tenancy(database: Database) -> Tenancy:
    """All ports of provisioning over one database, whose login must be of the group poplar_api."""
    return Tenancy(
        PostgresTenants(database),
        PostgresDomains(database),
        PostgresMaildrops(database),
        PostgresListedMessages(database),
        PostgresRemovedMessages(database),
        PostgresAliases(database),
        PostgresCredentials(database),
        PostgresAudit(database),
        PostgresMaildropBatches(database),
        PostgresDirectoryChoices(database),
        PostgresIssuers(database),
    )
