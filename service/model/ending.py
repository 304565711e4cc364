"""How a session came to its end: a closed set, for logs and metrics.

Owns the words. A protocol's session names the ends that the client brings about, a connection those
that time, the transport and the process bring about. Refuses to know what is done at an end.
"""

from enum import Enum


class Ending(Enum):
    """One end; its value is a label's value (G17)."""

    QUIT = "quit"
    QUIT_FAILED = "quit_failed"
    """QUIT was answered `-ERR`."""
    FOREIGN = "foreign"
    """Another protocol was spoken: HTTP, or TLS on the port in clear."""
    VIOLATION = "violation"
    """The client broke LMTP beyond repair."""
    LINE_TOO_LONG = "line_too_long"
    LOGIN_FAILURES = "login_failures"
    LOST = "lost"
    """Another session took the maildrop."""
    VANISHED = "vanished"
    """The client closed without QUIT."""
    AUTOLOGOUT = "autologout"
    """The client said nothing for too long."""
    STALLED = "stalled"
    """The client stopped reading."""
    TLS = "tls"
    """The handshake after STLS or STARTTLS failed."""
    STORE = "store"
    """A message was cut because its store failed."""
    SHED = "shed"
    """Closed to make room, or refused for want of it."""
    DRAINED = "drained"
    FAULT = "fault"
    """A defect of ours."""

    # Each is there once. Enum's own hashes the name, by two calls.
    __hash__ = object.__hash__
