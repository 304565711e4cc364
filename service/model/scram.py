"""The keys that SCRAM-SHA-256 keeps of a password, and what can be proved with them.

Owns their derivation, their stored form and the two computations that an exchange needs. Refuses to know the
messages of an exchange, and to make a salt: whoever derives keys brings a random one.
RFC 5802 §3, RFC 5803 §1, RFC 7677 §3.
"""

import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

ITERATIONS = 10_000
"""Rounds of PBKDF2 for new keys; deploy/decisions/scram.md says why so many."""
SALT_OCTETS = 16
KEY_OCTETS = 32
HASH = "sha256"

_BASE64 = "[A-Za-z0-9+/]+={0,2}"
_VERIFIER = re.compile(rf"SCRAM-SHA-256\$([1-9]\d{{3,6}}):({_BASE64})\$({_BASE64}):({_BASE64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps instead of the password. Whoever has them can't log in with them, but can guess (G17)."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def verifier(self) -> str:
        """The stored form.

        RFC 5803 §1 keeps the four values as `scheme "$" authInfo "$" authValue`, with the salt and both keys in base64.
        """
        salt, stored, server = (
            binascii.b2a_base64(part, newline=False).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"

    def proves(self, exchanged: bytes, proof: bytes) -> bool:
        """Whether `proof` was made with the password, over the messages `exchanged`."""
        # RFC 5802 §3: "The server authenticates the client by computing the ClientSignature, exclusive-ORing that with
        # the ClientProof to recover the ClientKey and verifying the correctness of the ClientKey by applying the hash
        # function and comparing the result to the StoredKey."
        if len(proof) != KEY_OCTETS:
            return False
        signature = hmac.digest(self.stored_key, exchanged, HASH)
        client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), self.stored_key)

    def signature(self, exchanged: bytes) -> bytes:
        """RFC 5802 §3: "ServerSignature := HMAC(ServerKey, AuthMessage)"."""
        return hmac.digest(self.server_key, exchanged, HASH)


def derive_scram(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
    """The keys of a prepared password."""
    # RFC 5802 §3: "SaltedPassword := Hi(Normalize(password), salt, i)", "ClientKey := HMAC(SaltedPassword, "Client
    # Key")", "StoredKey := H(ClientKey)" and "ServerKey := HMAC(SaltedPassword, "Server Key")".
    salted = hashlib.pbkdf2_hmac(HASH, password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", HASH)).digest()
    return ScramKeys(salt, iterations, stored_key, hmac.digest(salted, b"Server Key", HASH))


def parse_scram(verifier: str) -> ScramKeys:
    """The keys in their stored form. Raises ValueError when it isn't one."""
    found = _VERIFIER.fullmatch(verifier)
    if found is None:
        raise ValueError("not a SCRAM-SHA-256 verifier")
    salt, stored, server = (binascii.a2b_base64(text, strict_mode=True) for text in found.groups()[1:])
    if {len(stored), len(server)} != {KEY_OCTETS}:
        raise ValueError("not the keys of SCRAM-SHA-256")
    return ScramKeys(salt, int(found[1]), stored, server)
