"""What came before a message's text: who sends it, to whom, and over what kind of connection.

Owns the facts that the trace lines are written from. Refuses to know commands and sockets.
RFC 5321 §2.3.1 (envelope), §4.4 (trace), RFC 3848 and RFC 6531 §4.3 (the `with` keyword).
"""

from dataclasses import dataclass

from service.model.account import Recipient


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail transaction, ready for its text."""

    reverse_path: str
    """The sender's address without brackets; empty for the null reverse-path."""
    recipients: tuple[Recipient, ...]
    """One for each accepted RCPT, in order; the same maildrop may occur again."""
    client_name: str
    """The name the client gave in LHLO."""
    keyword: str
    """`LMTP`, `LMTPS`, `UTF8LMTP` or `UTF8LMTPS`."""
    declared_octets: int | None = None
    """Octets of the text as SIZE declared them (RFC 1870 §6); an estimate. None if it didn't."""
