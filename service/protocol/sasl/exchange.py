"""What a SASL exchange gives: a challenge, a wish for stored keys, or a proof to verify.

Owns the shapes every mechanism shares and the base64 that carries them. Refuses to know any
one mechanism.
RFC 4422 §3, RFC 5034 §4.
"""

import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from service.model.proof import Proof
from service.model.scram import ScramKeys


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server asks next; empty when the client is to send first."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Verify:
    """The client's part is done: verify `proof`; None when what it sent can't prove anything."""

    proof: Proof | None
    if_refused: bytes | None = None
    """A challenge that tells of a refusal; the client answers it with whatever it likes, and then hears `-ERR`."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """The keys stored for `name` are wanted, and a fresh nonce; `resume` makes the next move of them.

    Keys are had for every name, whether anybody has it or not (G13).
    """

    name: str
    resume: Callable[[ScramKeys, str], "Move"]


Move = Challenge | Verify | Fetch


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known besides what the client says: how it came here, and what it may be told.

    It tells nothing of any tenant or user: what a client hears before it is known must be the same for all (G13).
    """

    hosts: frozenset[str] = frozenset()
    """Names under which the client can have reached this server, in lower case; empty when they aren't known."""
    ports: frozenset[int] = frozenset()
    """Ports to which it can have connected, likewise."""
    scope: str = ""
    """What a token must be good for, as clients are told (RFC 7628 §3.2.2)."""
    configuration: str = ""
    """Where an OpenID provider describes itself, as clients are told."""
    bindings: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """What the connection's TLS is bound to, by the kind of binding; empty where TLS doesn't end here."""
    certified: tuple[str, ...] = ()
    """The addresses in the client's certificate, which was verified."""


NOTHING_KNOWN = Outside()


class Exchange(Protocol):
    """One authentication in progress."""

    def respond(self, response: bytes) -> Move:
        """The server's move after the client's decoded response."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of what AUTH offers. `client_first` tells that an initial response is possible."""

    name: str
    client_first: bool
    begin: Callable[[Outside], Exchange]
    first_challenge: bytes = b""
    """Sent when the client gave no initial response; empty for a client-first mechanism."""
    rank: int = 50
    """The order in CAPA, strongest first."""
    everywhere: bool = True
    """Whether it can succeed in every configuration; otherwise it is offered only where it is switched on."""


def decode(text: bytes) -> bytes:
    """The octets that `text` encodes. Raises ValueError.

    RFC 5034 §4: "If the server cannot Base64 decode a client response, it MUST reject the AUTH command with an -ERR
    reply." Foreign characters and inner padding are refused.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def encode(data: bytes) -> bytes:
    """`data` in base64, on one line."""
    return binascii.b2a_base64(data, newline=False)
