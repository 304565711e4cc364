"""The directory and the index as deliveries use them: what many senders ask at the same time is one statement.

Owns which of it may go together: any addresses, and messages for one maildrop each, no two of them for the same. Such a
statement waits for no lock, so that a maildrop in which a long removal is at work keeps nobody's mail from others; what
found its maildrop taken is appended by itself, and waits. Refuses to know who sends.
"""

from collections.abc import Sequence

from service.model.account import Recipient
from service.model.address import Address
from service.model.message import NewMessage
from service.model.refusal import Refusal
from service.stores.postgres.database import Database
from service.stores.postgres.directory import RESOLVE, PostgresDirectory, recipient
from service.stores.postgres.errors import temporary
from service.stores.postgres.index import PostgresMessageIndex, columns, outcome
from service.stores.postgres.together import Together

# OFFSET keeps the planner from joining what is looked up for each address by itself.
RESOLVE_TOGETHER = f"""
SELECT e.place, found.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS e (domain, local, place)
CROSS JOIN LATERAL ({RESOLVE.replace("$1", "e.domain").replace("$2", "e.local")} OFFSET 0) AS found
"""  # noqa: S608 - constants alone

APPEND_TOGETHER = "SELECT append_messages_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"

BUSY = "busy"
"""The outcome of a message whose maildrop another transaction holds."""
Arrival = tuple[Recipient, NewMessage]


class DeliveryDirectory(PostgresDirectory):
    """`ports.Directory`, which resolves addresses together."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._together = Together[Address, Recipient](self._resolve)

    async def resolve(self, address: Address) -> Recipient:
        """As the port says."""
        return await self._together.ask(address, address)

    async def _resolve(self, addresses: Sequence[Address]) -> Sequence[Recipient | Refusal]:
        domains, locals_ = [each.domain for each in addresses], [each.local for each in addresses]
        rows = await self._database.read(RESOLVE_TOGETHER, domains, locals_)
        found = {row["place"]: row for row in rows}
        return [recipient(found.get(place), address) for place, address in enumerate(addresses, 1)]


class DeliveryIndex(PostgresMessageIndex):
    """`ports.MessageIndex`, which appends messages for one maildrop together."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._together = Together[Arrival, str](self._append_each)

    async def append(self, arrivals: Sequence[Arrival]) -> Sequence[Refusal | None]:
        """As the port says."""
        if len(arrivals) != 1:
            return await super().append(arrivals)
        to = arrivals[0][0]
        said = await self._together.ask(arrivals[0], to.key, to.key.tenant_id)
        return await super().append(arrivals) if said == BUSY else [outcome(said, to)]

    async def _append_each(self, arrivals: Sequence[Arrival]) -> Sequence[str]:
        try:
            rows = await self._database.write(APPEND_TOGETHER, *columns(arrivals), rows=len(arrivals))
        except Refusal as refusal:
            raise temporary(refusal) from refusal.__cause__
        said: Sequence[str] = rows[0][0]
        return said
