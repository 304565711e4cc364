"""A maildrop as a session found it a moment ago, kept so that it can be read while the index is away.

Owns what belongs together: the counters, the listing they selected, and where each of its messages is stored. Refuses
to be less than whole: a listing without the place of one of its messages is not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.model.listing import DropListing, Listing
from service.model.message import StoredMessage

PLACE_OCTETS = 700
"""About what the place of one message takes, beside its blob's key and its trace."""
LISTED_OCTETS = 34


@dataclass(frozen=True, slots=True)
class Kept:
    """What one session was shown; `token` is that session's own, by which others can tell whether it was the last."""

    token: str
    drop: DropListing
    listing: Listing
    places: Mapping[int, StoredMessage]

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        texts = sum(len(place.blob.key) + len(place.trace) for place in self.places.values())
        return len(self.listing) * (LISTED_OCTETS + PLACE_OCTETS) + texts
