"""Argon2 verifiers (RFC 9106) through libsodium, which computes outside the interpreter's lock.

Owns the cost of new ones and the bound of what stored ones may cost. Refuses to know whose password it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from service.stores.passwords.matching import Matcher, bounded

MOST_MEMORY_KIB = 1 << 18
MOST_WORK_KIB = 1 << 20
"""Memory times passes: about a second."""
_FORM = re.compile(
    r"\$argon2id?\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=\d{1,3}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,86}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a new verifier costs to compute. OWASP's advice for Argon2id: 19 MiB, two passes, one lane."""

    memory_kib: int = 19456
    passes: int = 2

    @property
    def form(self) -> str:
        """How every verifier of this cost begins."""
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p=1$"


COSTS: Mapping[str, Cost] = {
    "46MiB": Cost(47104, 1),
    "19MiB": Cost(),
    "12MiB": Cost(12288, 3),
    "9MiB": Cost(9216, 4),
    "7MiB": Cost(7168, 5),
}
"""OWASP's five, which it holds to be equal in defence: less memory for more passes (Password Storage Cheat Sheet)."""


def new_verifier(secret: bytes, cost: Cost) -> str:
    """An Argon2id verifier with a salt of its own."""
    verifier: bytes = argon2id.str(secret, opslimit=cost.passes, memlimit=cost.memory_kib * 1024)
    return verifier.decode("ascii")


def argon2_matcher(text: str) -> Matcher:
    """What `text` proves, Argon2id or Argon2i. Raises ValueError when it is garbled or too dear."""
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError("is not a whole Argon2 verifier of version 19")
    memory, passes = int(found[1]), int(found[2])
    bounded(memory, MOST_MEMORY_KIB, "KiB of memory")
    bounded(memory * passes, MOST_WORK_KIB, "KiB of memory times passes")
    return lambda secret: matches(text.encode("ascii"), secret)


def matches(verifier: bytes, secret: bytes) -> bool:
    """Whether `secret` is the one; False for a verifier that libsodium can't read."""
    try:
        return bool(argon2id.verify(verifier, secret))
    except (CryptoError, ValueError):
        # CryptoError is also PyNaCl's word for a wrong password.
        return False
