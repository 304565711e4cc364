"""What a POP3 session asks of the outside, and waits for.

Owns the vocabulary between the session and `net/pop3.py`. Each effect has one outcome method on
the session; until it is called the session runs no further command.
RFC 1939 §3 to §6, RFC 2595 §4, RFC 5034 §4.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.model.ending import Ending
from service.model.proof import Proof

_NONE: Sequence[int] = array("q")
"""No sequence numbers, as listings have them; never written."""


class LogIn(NamedTuple):
    """Verify `proof` and open the maildrop. Outcome: `logged_in` or `refused`."""

    mechanism: str
    proof: Proof | None


@dataclass(frozen=True, slots=True)
class FetchKeys:
    """Get the keys with which `name` can be proved, whether it exists or not. Outcome: `keys_fetched` or `refused`."""

    name: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class LoadListing:
    """Load the listing frozen at login. Outcome: `listing_loaded` or `refused`."""


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Send a message as a multi-line response. Outcome: `retrieved`, or `refused` if no octet was sent.

    `upcoming` are the sequence numbers of the next unmarked messages, for prefetching.
    """

    number: int
    sequence: int
    octets: int
    upcoming: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Top:
    """Send the header and the first `lines` body lines. Outcome: `retrieved` or `refused`."""

    number: int
    sequence: int
    lines: int
    upcoming: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendListing:
    """Send the slices of a long response, one by one, with a yield between. Outcome: `listing_sent`."""

    slices: Iterator[bytes]


class Update(NamedTuple):
    """Remove the messages with these sequence numbers, then release the maildrop. Outcome: `updated` or `refused`.

    `retrieved` are those that are to be noted as retrieved. `kept` tells how many marked messages stay.
    """

    sequences: Sequence[int] = _NONE
    retrieved: Sequence[int] = _NONE
    kept: int = 0


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the output, then negotiate TLS. Outcome: `tls_started`; if it fails the connection closes."""


class Close(NamedTuple):
    """Send the output, then close the connection. No outcome: the session is over."""

    ending: Ending


Effect = LogIn | FetchKeys | LoadListing | Retrieve | Top | SendListing | Update | StartTls | Close


Step = tuple[bytes, Effect | None, int, bool]
"""What one advance gave: octets to send, the effect to perform after them, how many lines were taken, and more.

With no effect, `more` tells that the bound on output was reached before the input was used up: advance again once the
output is on its way.
"""
