"""What the session asks of the world, and what it hands out at each step.

Owns the vocabulary between the pure session and `net/`. Refuses to know how an effect is performed.
Each effect but Close is followed by exactly one outcome, a method of the session in the past tense.
RFC 2033 §4.
"""

from dataclasses import dataclass

from service.model.address import Address
from service.model.envelope import Envelope
from service.model.refusal import Reason


@dataclass(frozen=True, slots=True)
class Resolve:
    """Find where mail for `address` goes; outcome `resolved`."""

    address: Address


@dataclass(frozen=True, slots=True)
class Begin:
    """Prepare to store one message; outcome `begun`."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Store:
    """Take the next octets of the text, unstuffed but with line ends as sent; outcome `stored`."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """The text is whole: store it and list it; outcome `delivered`, with one outcome a recipient."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Forget the message begun, leaving nothing behind; outcome `abandoned`.

    `reason` tells why its text was refused in the middle; None where the client gave it up.
    """

    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class StartTls:
    """Negotiate TLS once the output is written, reading nothing in between; outcome `tls_started`."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once the output is written; a message begun is abandoned."""


Effect = Resolve | Begin | Store | Deliver | Abandon | StartTls | Close


@dataclass(frozen=True, slots=True)
class Answered:
    """One reply that was given: to which command, with which code. Text that ended counts as `DATA` or `BDAT`."""

    verb: str
    code: int


@dataclass(frozen=True, slots=True)
class Step:
    """Octets to send first, then the effect to perform; no effect means that more octets are needed, unless there is
    `more` to run."""

    output: bytes
    effect: Effect | None
    answered: tuple[Answered, ...] = ()
    more: bool = False
    """Whether so much was run that others are to be heard first."""
