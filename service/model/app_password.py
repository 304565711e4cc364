"""App passwords: one for each device or program, made up, shown once, and quick to verify.

Owns the text: the beginning of its credential's id, so that one look at an account's credentials finds the one it may
open, then a random secret. The secret has 120 bits that nobody chose, so a plain SHA-256 suffices to keep: there is
nothing to guess. Refuses to make random numbers and to know where credentials are kept.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from uuid import UUID

KIND = "app"
SECRET_OCTETS = 15
GROUP = 6
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Thirty-two that are told apart when read aloud or copied by hand."""
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HANDLE_BITS = 5 * GROUP
_LENGTH = GROUP + SECRET_OCTETS * 8 // 5
_TO_OURS = str.maketrans(_BASE32, _LETTERS)
_FROM_OURS = str.maketrans(_LETTERS, _BASE32)
_BETWEEN = str.maketrans("", "", "- ")


@dataclass(frozen=True, slots=True)
class AppPassword:
    """What a client presented, if it has the form of an app password."""

    handle: int
    """The first 30 bits of the credential's id."""
    secret: bytes = field(repr=False)

    def names(self, credential_id: UUID) -> bool:
        """Whether this may be the secret of that credential."""
        return self.handle == handle_of(credential_id)

    def opens(self, credential_id: UUID, verifier: str) -> bool:
        """Whether it is, by what is stored."""
        return hmac.compare_digest(verifier_of(credential_id, self.secret).encode(), verifier.encode())


def handle_of(credential_id: UUID) -> int:
    """The bits of a credential's id that its text begins with."""
    return credential_id.int >> (128 - _HANDLE_BITS)


def verifier_of(credential_id: UUID, secret: bytes) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(b"poplar app password\0" + credential_id.bytes + secret).hexdigest()


def text_of(credential_id: UUID, secret: bytes) -> str:
    """What the client's program is given: five groups of six letters and digits."""
    handle, letters = handle_of(credential_id), ""
    for _ in range(GROUP):
        handle, rest = divmod(handle, len(_LETTERS))
        letters = _LETTERS[rest] + letters
    letters += base64.b32encode(secret).decode().translate(_TO_OURS)
    return "-".join(letters[start : start + GROUP] for start in range(0, _LENGTH, GROUP))


def parse_app_password(text: str) -> AppPassword | None:
    """The app password in `text`, typed with or without dashes and spaces, in any case; None if it isn't one."""
    letters = text.translate(_BETWEEN).lower()
    if len(letters) != _LENGTH or not set(letters) <= set(_LETTERS):
        return None
    handle = 0
    for letter in letters[:GROUP]:
        handle = handle * len(_LETTERS) + _LETTERS.index(letter)
    return AppPassword(handle, base64.b32decode(letters[GROUP:].translate(_FROM_OURS)))
