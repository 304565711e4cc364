"""A SCRAM-SHA-256 client that can be told to go wrong. RFC 5802 §3 and §7, over hashlib alone."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass


@dataclass
class ScramClient:
    """One exchange; what is set differently is said differently."""

    name: str = "user"
    password: str = "pencil"
    nonce: str = "rOprNGfwEbeRWgbNEkqO"
    header: str = "n,,"
    extensions: str = ""
    """Of both messages, each with its comma."""

    @property
    def bare(self) -> str:
        return f"n={self.name},r={self.nonce}{self.extensions}"

    @property
    def first(self) -> bytes:
        return f"{self.header}{self.bare}".encode()

    def final(self, server_first: bytes, *, binding: str | None = None, nonce: str | None = None) -> bytes:
        """The last message, its proof right for whatever it says."""
        told = dict(part.split("=", 1) for part in server_first.decode().split(","))
        bound = b64encode((self.header if binding is None else binding).encode()).decode()
        unproved = f"c={bound},r={told['r'] if nonce is None else nonce}{self.extensions}"
        self._exchanged = f"{self.bare},{server_first.decode()},{unproved}".encode()
        self._salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), b64decode(told["s"]), int(told["i"]))
        key = hmac.digest(self._salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), self._exchanged, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return f"{unproved},p={b64encode(proof).decode()}".encode()

    def trusts(self, server_final: bytes) -> bool:
        """Whether the server proved that it has the password's keys."""
        key = hmac.digest(self._salted, b"Server Key", "sha256")
        return server_final == b"v=" + b64encode(hmac.digest(key, self._exchanged, "sha256"))
