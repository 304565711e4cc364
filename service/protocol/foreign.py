"""How a stranger begins that speaks another protocol to a mail port: a browser, a scanner, a forged request.

Owns those beginnings. Refuses to know what is done about them. A request of HTTP that a forged page or a misled
server sends here would have its body read as commands, line by line, so both protocols close at its first line.
RFC 9112 §3 (request line), RFC 8446 §5.1 (TLS record).
"""

import re

_REQUEST = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) \S+ (?:HTTP|RTSP)/", re.IGNORECASE
)
TLS_RECORD = b"\x16\x03"
"""How a TLS ClientHello begins (RFC 8446 §5.1): no command of ours does."""


def is_foreign(line: bytes) -> bool:
    """Whether `line` begins a request of another protocol: HTTP, RTSP, or a TLS ClientHello in clear."""
    return line.startswith(TLS_RECORD) or _REQUEST.match(line) is not None
