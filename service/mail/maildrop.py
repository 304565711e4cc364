"""A maildrop that one session holds, from its login to its end.

Owns what belongs together once a login succeeded: whose it is, what it held at that instant, and
the fence and lease that prove it is still ours.
RFC 1939 §4, §8.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.mail.listing_parts import Parts, alone
from service.mail.ports import Lease
from service.model.account import MaildropKey
from service.model.kept import Kept
from service.model.listing import DropListing, Listing
from service.model.message import StoredMessage
from service.model.policy import Policy
from service.model.trail import Trail


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """What was kept of one maildrop, read as the index is."""

    kept: Kept

    async def listing(self, _key: MaildropKey, _drop: DropListing) -> Listing:
        """The listing that the counters selected."""
        return self.kept.listing

    async def locate(self, _key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """Where these messages are stored."""
        return {sequence: self.kept.places[sequence] for sequence in sequences if sequence in self.kept.places}


class OpenMaildrop(NamedTuple):
    """The result of a login. `guarded` is false when no lease could be had and the fence alone guards."""

    key: MaildropKey
    tenant: str
    address: str
    policy: Policy
    drop: DropListing
    fence: bytes
    lease: Lease
    guarded: bool
    trail: Trail
    """By what the audit follows the session."""
    recent: bool = False
    """Whether the last days alone are shown, as several programs read them: none takes them from the others."""
    kept: KeptIndex | None = None
    """What is read, and only read, while the index is away; it is what was shown last."""

    @property
    def counts_retrieval(self) -> bool:
        """Whether what RETR brings is noted: not where nothing may be removed, nor where several programs read."""
        return self.policy.retrieved_days is not None and self.policy.dele != "refuse" and not self.recent

    @property
    def undo_days(self) -> int | None:
        """Days for which what this session removes can be restored; None for as long as the service keeps it."""
        return self.policy.undo_days if self.policy.dele == "undo" else None

    async def numbered(self, listing: Listing) -> Listing:
        """`listing`, which comes oldest first, in the order in which this maildrop's messages are numbered.

        RFC 1939 §4 has the messages numbered from 1 and doesn't say which is the first.
        """
        if self.policy.order != "newest":
            return listing
        async with alone(len(listing)):
            parts = Parts()
            for piece in listing.newest_first():
                if parts.messages:
                    # Others run between two pieces of a long listing.
                    await asyncio.sleep(0)
                parts.add(*piece)
            return await parts.listing(listing.imported)
