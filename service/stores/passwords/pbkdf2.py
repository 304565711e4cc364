"""PBKDF2 verifiers (RFC 8018 §5.2), as Dovecot, OpenLDAP, passlib and PHC write them; OpenSSL computes.

Owns the forms and the bound on rounds. Refuses to know prefixes in braces, save which digest they named.
"""

import hashlib
import hmac
import re

from service.stores.passwords.digests import decoded
from service.stores.passwords.matching import Matcher, bounded

MOST_ROUNDS = 2_000_000
"""About a second of SHA-256 or SHA-512."""

# Dovecot: the salt is text, the key SHA-1's and hexadecimal.
_DOVECOT = re.compile(r"\$1\$([\x21-\x23\x25-\x7e]{1,64})\$(\d{1,9})\$([0-9A-Fa-f]{40})", re.ASCII)
# passlib and OpenLDAP: salt and key in base64 with `.` for `+`. PHC: plain base64, and rounds and octets are named.
_ADAPTED = re.compile(
    r"(?:\$pbkdf2(?:-(sha1|sha256|sha512))?\$)?(?:(\d{1,9})|i=(\d{1,9})(?:,l=(\d{1,3}))?)"
    r"\$([./0-9A-Za-z+]{1,88})\$([./0-9A-Za-z+]{27,88})",
    re.ASCII,
)


def pbkdf2_matcher(text: str, algorithm: str = "sha1") -> Matcher:
    """What `text` proves; it may name its own digest. Raises ValueError when it is garbled or too dear."""
    if found := _DOVECOT.fullmatch(text):
        return _matcher("sha1", found[1].encode("ascii"), int(found[2]), bytes.fromhex(found[3]))
    found = _ADAPTED.fullmatch(text)
    if not found:
        raise ValueError("is not a whole PBKDF2 hash")
    key = _plain(found[6])
    if found[4] and int(found[4]) != len(key):
        raise ValueError(f"has a key of {len(key)} octets, and says {int(found[4])}")
    return _matcher(found[1] or algorithm, _plain(found[5]), int(found[2] or found[3]), key)


def _matcher(algorithm: str, salt: bytes, rounds: int, key: bytes) -> Matcher:
    bounded(rounds, MOST_ROUNDS, "rounds")
    if len(key) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ValueError(f"has a key of {len(key)} octets, which is no {algorithm} digest")
    return lambda secret: hmac.compare_digest(hashlib.pbkdf2_hmac(algorithm, secret, salt, rounds), key)


def _plain(adapted: str) -> bytes:
    return decoded(adapted.replace(".", "+"), "base64")
