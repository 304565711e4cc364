"""How a password becomes a credential: checked, prepared exactly as at login, hashed.

Owns the bounds of a password and how one is made up. Refuses to know the hash and who asks.
RFC 4616 §2 (bounds and preparation of a password).
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from service.mail.naming import plainly
from service.mail.ports import Clock, PasswordHashes
from service.model.app_password import KIND as APP
from service.model.app_password import SECRET_OCTETS, text_of, verifier_of
from service.model.policy_table import check_narrowing
from service.model.scram import SALT_OCTETS, derive_scram
from service.model.tenancy import NOTHING_SET, NewCredential, Overrides, check_ends, parse_label

MAX_PASSWORD_OCTETS = 255
DEFAULT_LABEL = "main"
KIND = "password"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Passwords:
    """Makes credentials out of passwords."""

    hashes: PasswordHashes
    prepare: Callable[[str], str]
    """SASLprep, the same as the login's; raises ValueError for a prohibited character."""
    clock: Clock
    scram: bool = False
    """Whether a credential gets keys for SCRAM-SHA-256, too."""

    async def credential(
        self, password: str, label: str = DEFAULT_LABEL, expires: datetime | None = None
    ) -> NewCredential:
        """A credential that this password opens until `expires`. Raises Refusal: INVALID, OVERLOADED."""
        with plainly():
            name, prepared = self._checked(label, expires), self._prepared(password)
        verifier = await self.hashes.hash(prepared)
        return NewCredential(name, KIND, verifier, expires, await self._scram(prepared) if self.scram else None)

    def adopted(self, verifier: str, label: str = DEFAULT_LABEL, expires: datetime | None = None) -> NewCredential:
        """A credential by another system's verifier, renewed at its first login. Raises Refusal(INVALID)."""
        with plainly():
            name = self._checked(label, expires)
        return NewCredential(name, KIND, self.hashes.adopt(verifier), expires)

    def app(
        self, label: str, narrowing: Overrides = NOTHING_SET, expires: datetime | None = None
    ) -> tuple[NewCredential, str]:
        """A credential for one device or program, and its app password, which nobody can show again.

        `narrowing` holds policy values that allow it less than the maildrop. Raises Refusal(INVALID).
        """
        with plainly():
            name = self._checked(label, expires)
            check_narrowing(narrowing)
        # Its own id, not the store's, because the text begins with it.
        credential_id, secret = uuid4(), secrets.token_bytes(SECRET_OCTETS)
        verifier = verifier_of(credential_id, secret)
        made = NewCredential(name, APP, verifier, expires, None, credential_id, narrowing)
        return made, text_of(credential_id, secret)

    async def proves(self, verifier: str, password: str) -> bool:
        """Whether a login with this password would pass this verifier. Raises Refusal: INVALID, OVERLOADED."""
        with plainly():
            prepared = self._prepared(password)
        return await self.hashes.verify(verifier, prepared)

    def _checked(self, label: str, expires: datetime | None) -> str:
        check_ends("credential", expires, self.clock.now())
        return parse_label(label)

    async def _scram(self, prepared: str) -> str:
        """The keys in their stored form; derived on a thread, because that takes milliseconds."""
        salt = secrets.token_bytes(SALT_OCTETS)
        return (await asyncio.to_thread(derive_scram, prepared, salt)).verifier

    def _prepared(self, password: str) -> str:
        # RFC 4616 §2: "The presented authentication identity and password strings, as well as the database
        # authentication identity and password strings, are to be prepared before being used in the verification
        # process."
        _check_octets(password)
        prepared = self.prepare(password)
        _check_octets(prepared)
        return prepared


def generate_password() -> str:
    """A password of 120 random bits that is easy to read aloud: four groups of six letters and digits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(6)) for _ in range(4))


def _check_octets(password: str) -> None:
    if "\0" in password:
        raise ValueError("a password has no NUL")
    if not 1 <= len(password.encode("utf-8", "surrogateescape")) <= MAX_PASSWORD_OCTETS:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_OCTETS} octets")
