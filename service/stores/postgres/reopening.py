"""The directory and the index in one statement: a maildrop is opened again if its account is as it was seen.

Owns that the fence is written only then, and by what was read in the same statement. Refuses to know who is let in.
RFC 1939 §4 (the exclusive lock).
"""

from service.model.account import Account
from service.model.listing import DropListing
from service.stores.postgres.database import Database
from service.stores.postgres.directory import FIND, login_address

# The function is called for the row that is left, if one is.
_SAME = """
SELECT o.messages, o.octets, o.upto, o.removals
FROM (SELECT * FROM found WHERE seen = $3 AND active) AS same
CROSS JOIN LATERAL open_maildrop(same.tenant_id, same.maildrop_id, $4) AS o
"""
REOPEN = f"WITH found AS MATERIALIZED ({FIND}) {_SAME}"


class PostgresReopening:
    """Implements `mail.again.Reopening`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reopen(self, account: Account, fence: bytes) -> DropListing | None:
        """As the port says."""
        values = (*login_address(account.address), account.seen, fence.hex())
        rows = await self._database.read(REOPEN, *values)
        return DropListing(*rows[0]) if rows else None
