"""The directory and the index in one statement: maildrops are opened again if their accounts are as they were seen.

Owns that a fence is written only then, and by what was read in the same statement; and that what many sessions ask at
the same time is one statement, which waits for no lock: a maildrop in which a long removal is at work is asked for by
itself. Where connections are scarce a statement has sessions of one tenant alone, in whose turn it is (G16). Refuses to
know who is let in.
RFC 1939 §4 (the exclusive lock).
"""

from collections.abc import Awaitable, Sequence
from enum import Enum, auto
from uuid import UUID

from service.model.account import Account
from service.model.listing import DropListing
from service.stores.postgres.database import Database
from service.stores.postgres.directory import FIND
from service.stores.postgres.together import Together

# The function is called for the row that is left, if one is.
_SAME = """
SELECT o.messages, o.octets, o.upto, o.removals
FROM (SELECT * FROM found WHERE seen = $3 AND active) AS same
CROSS JOIN LATERAL open_maildrop(same.tenant_id, same.maildrop_id, $4) AS o
"""
REOPEN = f"WITH found AS MATERIALIZED ({FIND}) {_SAME}"

# OFFSET keeps the planner from joining what is looked up for each account by itself. Values of all come as one each,
# since the driver takes longer for an array: no address has a space, a digest has 32 octets and a fence 16.
REOPEN_TOGETHER = f"""
WITH same AS MATERIALIZED (
    SELECT e.place, encode(substring($4::bytea FROM 16 * e.place::int - 15 FOR 16), 'hex')::uuid AS fence,
           found.tenant_id, found.maildrop_id
    FROM unnest(string_to_array($1, ' '), string_to_array($2, ' ')) WITH ORDINALITY AS e (domain, local, place)
    CROSS JOIN LATERAL ({FIND.replace("$1", "e.domain").replace("$2", "e.local")} OFFSET 0) AS found
    WHERE found.seen = substring($3::bytea FROM 32 * e.place::int - 31 FOR 32) AND found.active
)
SELECT o.place, o.messages, o.octets, o.upto, o.removals
FROM (
    SELECT array_agg(place) AS places, array_agg(tenant_id) AS tenants, array_agg(maildrop_id) AS maildrops,
           array_agg(fence) AS fences
    FROM same HAVING count(*) > 0
) AS s
CROSS JOIN LATERAL open_maildrops_together(s.places, s.tenants, s.maildrops, s.fences) AS o
"""  # noqa: S608 - constants alone

MOST = 16
"""Logins in one statement: more cost hardly less each, and all go on in the same moment, which others wait for."""
FEW_TENANTS = 64
"""Lines of tenants' own beyond which those that nobody stands in are let go."""
UNSEEN = bytes(32)
"""No account's digest."""
Opening = tuple[Account, bytes]


class Unopened(Enum):
    """The answer for a maildrop that is to be asked for in another way."""

    LEFT_OUT = auto()
    """By itself: its account has changed, or its fence isn't to be had at once."""
    CROWDED = auto()
    """In its tenant's turn."""


Opened = DropListing | Unopened | None


class PostgresReopening:
    """Implements `mail.again.Reopening`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Together[Opening, Opened](self._reopen_unless_crowded, most=MOST)
        self._by_tenant: dict[UUID, Together[Opening, Opened]] = {}

    async def reopen(self, account: Account, fence: bytes) -> DropListing | None:
        """As the port says."""
        opening, key = (account, fence), account.key
        if self._database.crowded:
            opened = await self._in_turn(opening)
        else:
            opened = await self._together.ask(opening, key, key.tenant_id)
        if not isinstance(opened, Unopened):
            return opened
        if opened is Unopened.CROWDED:
            opened = await self._in_turn(opening)
        return await self._reopen_alone(opening) if isinstance(opened, Unopened) else opened

    async def _in_turn(self, opening: Opening) -> Opened:
        """With its own tenant's alone."""
        key = opening[0].key
        line = self._by_tenant.get(key.tenant_id)
        if line is None:
            if len(self._by_tenant) >= FEW_TENANTS:
                self._by_tenant = {tenant: each for tenant, each in self._by_tenant.items() if not each.idle}
            line = self._by_tenant[key.tenant_id] = Together(self._reopen, most=MOST)
        return await line.ask(opening, key)

    def _reopen_unless_crowded(self, openings: Sequence[Opening]) -> Awaitable[Sequence[Opened]]:
        # They may have waited, and would stand in the line of one tenant.
        return _put_off(openings) if self._database.crowded else self._reopen(openings)

    async def _reopen(self, openings: Sequence[Opening]) -> Sequence[Opened]:
        if len(openings) == 1:
            return [await self._reopen_alone(openings[0])]
        domains, locals_, seen, fences = zip(*[_values(opening) for opening in openings], strict=True)
        values = (" ".join(domains), " ".join(locals_), b"".join(seen), b"".join(fences))
        rows = await self._database.read(REOPEN_TOGETHER, *values)
        answers: list[Opened] = [Unopened.LEFT_OUT] * len(openings)
        for place, *listing in rows:
            answers[place - 1] = DropListing(*listing)
        return answers

    async def _reopen_alone(self, opening: Opening) -> DropListing | None:
        domain, local, seen, fence = _values(opening)
        rows = await self._database.read(REOPEN, domain, local, seen, fence.hex())
        return DropListing(*rows[0]) if rows else None


async def _put_off(openings: Sequence[Opening]) -> Sequence[Opened]:
    return [Unopened.CROWDED] * len(openings)


def _values(opening: Opening) -> tuple[str, str, bytes, bytes]:
    """What both statements ask with: domain, local part, what was seen of the account, and the fence."""
    account, fence = opening
    # The directory made the address of these two.
    local, _, domain = account.address.rpartition("@")
    return domain, local, account.seen or UNSEEN, fence
