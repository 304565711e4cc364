"""A message as it is stored: one immutable blob, and one row for each maildrop that lists it.

Owns the relation between the two: what a client retrieves is the row's trace line followed by the
blob, so one blob serves many recipients though each has a Delivered-To line of its own.
Octets are counted with CRLF line ends and without stuffed dots (RFC 1939 §11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.model.beginnings import Beginning, of_all, of_header


@dataclass(frozen=True, slots=True)
class Blob:
    """An immutable stored text: where it is, how long it is, and what proves it whole."""

    key: str
    octets: int
    header_octets: int
    """Octets of the header and the empty line that ends it; equal to `octets` when there is no body."""
    dotted: bool
    """Whether any line starts with a dot, so that it must be byte-stuffed (RFC 1939 §3)."""
    sha256: bytes
    beginnings: bytes | None = None
    """As `model.beginnings` packs them; None for a blob that a release before they were kept has stored."""

    def proofs(self, *, header: bool = False) -> Sequence[Beginning] | None:
        """The beginnings up to all of it, or up to its header: none is more than a part longer than the one before.

        None where they aren't known.
        """
        if self.beginnings is None:
            return None
        if header:
            return of_header(self.header_octets, self.beginnings)
        return of_all(self.octets, self.beginnings, self.sha256)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One listed message: `trace` (whole lines with CRLF, never dotted), then the blob."""

    sequence: int
    unique_id: UUID
    blob: Blob
    trace: bytes = b""

    @property
    def octets(self) -> int:
        """Octets that RETR sends, unstuffed: what LIST says (G9)."""
        return len(self.trace) + self.blob.octets

    @property
    def header_octets(self) -> int:
        """Octets that TOP n 0 sends, unstuffed."""
        return len(self.trace) + self.blob.header_octets


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append to one maildrop. `unique_id` is chosen before the write, so that repeating it is harmless."""

    unique_id: UUID
    blob: Blob
    received: datetime
    trace: bytes = b""
    imported_unique_id: str | None = None
    """The UIDL of the server the message came from, served in place of `unique_id` (G7)."""

    @property
    def octets(self) -> int:
        """Octets that RETR will send, unstuffed."""
        return len(self.trace) + self.blob.octets
