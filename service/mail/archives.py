"""What an import reads: messages in files, one after the other, each readable twice.

Owns the seam between the formats (mbox, Maildir) and the import. Refuses to know where messages go.
RFC 1939 §7 (what a unique-id may be), RFC 4155 (mbox).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.model.refusal import Reason, Refusal

PIECE = 256 * 1024
"""Octets read at once."""

NO_UIDL = Refusal(
    Reason.INVALID,
    "Dovecot has given it no UIDL yet: run `doveadm mailbox status -u USER messages INBOX` there, then import again; or"
    " take it as it is with --unlisted",
)

_UNIQUE_ID = re.compile(r"[\x21-\x7e]{1,70}")


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """One message. `pieces` reads its text anew at every call and may raise OSError."""

    name: str
    """Where it is, for people."""
    octets: int
    """Octets it takes in the archive, for a progress bar."""
    unique_id: str | None
    """The UIDL that clients of the earlier server know it by."""
    pieces: Callable[[], Iterator[bytes]]
    refusal: Refusal | None = None
    """Why it isn't to be imported as it is."""


class Archive(Protocol):
    """Files that hold messages."""

    @property
    def octets(self) -> int:
        """Octets of all messages together, about."""

    def messages(self) -> Iterator[ArchivedMessage]:
        """The messages in the order in which they arrived. Raises OSError."""


def dovecot_unique_id(uid: int, validity: int) -> str:
    """The UIDL that Dovecot makes of IMAP's UID and UIDVALIDITY in its default format, `%08Xu%08Xv`."""
    return f"{uid:08x}{validity:08x}"


def valid_unique_id(text: str) -> str | None:
    """`text` if a server may serve it as a unique-id.

    RFC 1939 §7: "an arbitrary server-determined string, consisting of one to 70 characters in the range 0x21 to 0x7E".
    """
    return text if _UNIQUE_ID.fullmatch(text) else None
