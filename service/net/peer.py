"""Who is at the other end of a connection, as the protocols and limits see it.

Owns the facts of one connection: the client's own address (not the load balancer's), the listener
it came to, and what protects the way. Refuses to know how they were learned: the PROXY header,
the TLS handshake and the socket are the listener's business.
RFC 2595 §4 (STLS), RFC 8314 §3 (implicit TLS).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple


class TlsMode(Enum):
    """What a listener does about TLS."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    TERMINATED = "terminated"
    """A trusted system in front already decrypted: the way to the client is private."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """A finished handshake: `version` as in "TLSv1.3", the cipher's name, and the SNI name if one was sent."""

    version: str
    cipher: str
    server_name: str | None = None
    bindings: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """What the connection can be bound to, by kind; nothing where TLS ended in front of us."""
    certified: tuple[str, ...] = ()
    """The addresses in the client's certificate, which was verified here."""


class Peer(NamedTuple):
    """One client. `private`: what it sends crosses the network encrypted, here or in front of us (G12)."""

    address: str
    port: int
    listener: str
    """The listener's name, as in the settings; a label value of the metrics."""
    tls: TlsFacts | None = None
    private: bool = False
    may_start_tls: bool = False

    def secured(self, facts: TlsFacts) -> "Peer":
        """This peer after a handshake: private, and STLS is over (RFC 2595 §4)."""
        return self._replace(tls=facts, private=True, may_start_tls=False)
