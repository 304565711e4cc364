"""SCRAM-SHA-256: the password is proved without being sent, and the server proves that it knows it.

Owns the four messages and every check of what the client sends, SCRAM-SHA-256-PLUS's too, which is the same exchange
bound to its TLS; the arithmetic is `model.scram`'s. Refuses to know whose keys it was given: those of a name that
nobody has are as good, save that no proof fits them (G13).
RFC 5802 §5 to §7, RFC 7677 §3; RFC 5034 §4 for the last message.
"""

import re
from dataclasses import dataclass

from service.model.proof import ScramProof
from service.model.scram import ScramKeys
from service.protocol.sasl.exchange import Challenge, Fetch, Mechanism, Move, Outside, Verify, decode, encode
from service.protocol.sasl.saslname import SASLNAME, unescaped

SCRAM_SHA_256 = "SCRAM-SHA-256"

_NONCE = r"[\x21-\x2b\x2d-\x7e]+"
# RFC 5802 §5.1, of `m`: "its presence in a client or a server message MUST cause authentication failure when the
# attribute is parsed by the other end." And: "Unknown optional extensions MUST be ignored upon receipt."
_EXTENSIONS = r"(?:,(?!m=)[A-Za-z]=[^\0,]+)*"

# RFC 5802 §5: "Note that the client's first message will always start with "n", "y", or "p"; otherwise, the message is
# invalid and authentication MUST fail."
_FIRST = re.compile(
    rf"(?P<header>(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>{SASLNAME}))?,)"
    rf"(?P<bare>n=(?P<name>{SASLNAME}),r=(?P<nonce>{_NONCE}){_EXTENSIONS})"
)
_BASE64 = "[A-Za-z0-9+/]+={0,2}"
_FINAL = re.compile(
    rf"(?P<unproved>c=(?P<binding>{_BASE64}),r=(?P<nonce>{_NONCE}){_EXTENSIONS}),p=(?P<proof>{_BASE64})"
)


@dataclass(frozen=True, slots=True)
class _First:
    """The client's first message, taken apart; name and authzid are prepared."""

    flag: str
    header: str
    bare: str
    nonce: str
    name: str
    authzid: str


class ScramSha256:
    """One exchange, with channel binding if `bound`; whatever breaks the grammar proves nothing."""

    def __init__(self, outside: Outside, *, bound: bool = False) -> None:
        self._bindings = outside.bindings
        self._bound = bound
        self._first: _First | None = None
        self._keys: ScramKeys | None = None
        self._server_first = ""
        self._proof: ScramProof | None = None

    def respond(self, response: bytes) -> Move:
        """Ask for the keys of the name in the first message; check the proof in the second; end with the third."""
        if self._keys is None:
            return self._take_first(response)
        if self._proof is None:
            return self._take_final(self._keys, response)
        # RFC 5034 §4: success carries no data, so the client answers the server's final message with an empty line.
        return Verify(None if response else self._proof)

    def _take_first(self, response: bytes) -> Move:
        self._first = _parse_first(response)
        if self._first is None or not self._is_rightly_bound(self._first.flag):
            return Verify(None)
        return Fetch(self._first.name, self._challenge)

    def _is_rightly_bound(self, flag: str) -> bool:
        """Whether the client's word on channel binding fits what was offered.

        RFC 5802 §6: the flag `p` goes with the name that ends in -PLUS and no other. `y` tells that the client could
        bind but believes that the server can't: where -PLUS is offered somebody took it out of the list, so it fails.
        """
        if self._bound:
            return flag.removeprefix("p=") in self._bindings
        return flag == "n" or (flag == "y" and not self._bindings)

    def _challenge(self, keys: ScramKeys, nonce: str) -> Move:
        """The server's first message.

        RFC 5802 §7: `nonce = "r=" c-nonce [s-nonce]`, "Second part provided by server." RFC 7677 §3: "the hash
        iteration-count announced by a server SHOULD be at least 4096."
        """
        self._keys = keys
        combined = (self._first.nonce if self._first else "") + nonce
        self._server_first = f"r={combined},s={encode(keys.salt).decode()},i={keys.iterations}"
        return Challenge(self._server_first.encode())

    def _take_final(self, keys: ScramKeys, response: bytes) -> Move:
        """The server's final message for a valid proof.

        RFC 5802 §5.1: "On failed authentication, the entire server-final-message is OPTIONAL; specifically, a server
        implementation MAY conclude the SASL exchange with a failure without sending the server-final-message." So it
        does, and never says `e=`.
        """
        final = _FINAL.fullmatch(_text(response))
        if self._first is None or final is None:
            return Verify(None)
        exchanged = f"{self._first.bare},{self._server_first},{final['unproved']}".encode()
        valid = self._is_ours(final) and keys.proves(exchanged, _decoded(final["proof"]))
        proof = ScramProof(self._first.name, keys, valid, final["nonce"], self._first.authzid)
        if not valid:
            return Verify(proof)
        self._proof = proof
        return Challenge(b"v=" + encode(keys.signature(exchanged)))

    def _is_ours(self, final: re.Match[str]) -> bool:
        """Whether the final message belongs to this exchange.

        RFC 5802 §6: "The server MUST always validate the client's "c=" field." §5.1: "The server MUST verify that the
        nonce sent by the client in the second message is the same as the one sent by the server in its first message."
        """
        first = self._first
        bound_to = self._bindings[first.flag.removeprefix("p=")] if first and self._bound else b""
        binding = (first.header if first else "").encode() + bound_to
        return _decoded(final["binding"]) == binding and self._server_first.startswith(f"r={final['nonce']},")


def _parse_first(response: bytes) -> _First | None:
    """The first message; None when it breaks the grammar or names nobody that could exist."""
    found = _FIRST.fullmatch(_text(response))
    if found is None:
        return None
    try:
        name, authzid = unescaped(found["name"]), unescaped(found["authzid"]) if found["authzid"] else ""
    except ValueError:
        return None
    return _First(found["flag"], found["header"], found["bare"], found["nonce"], name, authzid)


def _text(response: bytes) -> str:
    """The message; empty, which no grammar takes, when it isn't UTF-8."""
    try:
        return response.decode()
    except UnicodeDecodeError:
        return ""


def _decoded(base64: str) -> bytes:
    """The octets; none, which nothing equals, when they can't be decoded."""
    try:
        return decode(base64.encode())
    except ValueError:
        return b""


# RFC 5802 §4: "For interoperability, all SCRAM clients and servers MUST implement the SCRAM-SHA-1 authentication
# mechanism". Deviates: SHA-1 is no longer to be built on, and what speaks SCRAM today speaks SHA-256.
MECHANISM = Mechanism(SCRAM_SHA_256, client_first=True, begin=ScramSha256, rank=20, everywhere=False)
