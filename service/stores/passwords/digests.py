"""Verifiers that are one plain digest, salted or not, in base64 or hexadecimal.

Owns how digest and salt are told apart. Such verifiers are weak, and accepted because they are renewed at the next
login. Refuses to know prefixes in braces. RFC 4648 §4, §8.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from service.stores.passwords.matching import Matcher

MOST_SALT_OCTETS = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """One scheme: hash the password, and the salt behind it if there is one."""

    algorithm: str
    salted: bool = False

    def matcher(self, text: str, encoding: str | None) -> Matcher:
        """What `text` proves; without an encoding its length tells. Raises ValueError when it is garbled."""
        octets = hashlib.new(self.algorithm, usedforsecurity=False).digest_size
        hexadecimal = encoding == "hex" or (encoding is None and not self.salted and len(text) == 2 * octets)
        raw = decoded(text, "hex" if hexadecimal else "base64")
        digest, salt = raw[:octets], raw[octets:]
        if len(digest) < octets or (salt and not self.salted):
            raise ValueError(f"has {len(raw)} octets, which is no {self.algorithm} digest")
        if len(salt) > MOST_SALT_OCTETS:
            raise ValueError(f"has a salt of more than {MOST_SALT_OCTETS} octets")
        return lambda secret: hmac.compare_digest(self._of(secret + salt), digest)

    def _of(self, octets: bytes) -> bytes:
        return hashlib.new(self.algorithm, octets, usedforsecurity=False).digest()


def decoded(text: str, encoding: str) -> bytes:
    """The octets behind base64 or hexadecimal. Raises ValueError."""
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise ValueError(f"is not {'hexadecimal' if encoding == 'hex' else 'base64'}") from error
