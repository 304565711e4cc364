"""Passwords that were right a moment ago, so that the next login with one need not compute it again.

Owns how a verdict is bound: to tenant, maildrop, credential, its stored verifier and the password, by a keyed hash
whose key lives and dies with the process. A verifier that changed since is another one, and is not remembered (G11).
Keeps no password and no name, only that hash (G17); keeps successes alone, for a short while and in bounded number
(G15). Refuses to know how a password is verified.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

from service.mail.ports import Clock
from service.model.account import Credential, MaildropKey

SECONDS = 300.0
ENTRIES = 65_536
"""At some 200 octets each, 13 MB."""
KEY_OCTETS = 32
DIGEST_OCTETS = 32


def _untold(known: bool) -> None:
    """Whom nobody tells whether a verdict was known."""


class Verdicts:
    """What was verified in the last `seconds`; 0 remembers nothing. `told` hears of each look-up: known or not."""

    def __init__(
        self,
        clock: Clock,
        seconds: float = SECONDS,
        entries: int = ENTRIES,
        told: Callable[[bool], None] = _untold,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._entries = entries
        self._told = told
        # The key is read in once, and copied with what was made of it.
        self._keyed = hashlib.blake2b(digest_size=DIGEST_OCTETS, key=secrets.token_bytes(KEY_OCTETS))
        self._until: OrderedDict[bytes, float] = OrderedDict()
        """Hash of a verdict -> when it is over; the oldest first, as all last equally long."""

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._until)

    def recall(self, key: MaildropKey, credentials: Sequence[Credential], secret: str) -> Credential | None:
        """The first credential of `key` that `secret` opened lately, as it is stored now; or None."""
        if not self._seconds:
            return None
        self._forget()
        known = next((c for c in credentials if self._digest(self.bound(key, c), secret) in self._until), None)
        self._told(known is not None)
        return known

    @staticmethod
    def bound(key: MaildropKey, credential: Credential) -> bytes:
        """What a verdict on `credential` is bound to besides the password."""
        verifier = credential.verifier.encode()
        # Each id has 16 octets and the verifier is preceded by its own, so that no two verdicts come to the same.
        ids = (key.tenant_id.bytes, key.maildrop_id.bytes, credential.credential_id.bytes)
        return b"".join((*ids, len(verifier).to_bytes(4, "big"), verifier))

    def knows(self, bound: bytes, secret: str) -> bool:
        """Whether `secret` opened lately what `bound` says, as it was stored then; `told` hears of it by `used`."""
        return self._until.get(self._digest(bound, secret), 0.0) > self._clock.monotonic()

    def used(self) -> None:
        """A login went by what `knows` said."""
        self._told(True)

    def remember(self, key: MaildropKey, credential: Credential, secret: str) -> None:
        """Keep that `secret` opens `credential`."""
        if not self._seconds:
            return
        digest = self._digest(self.bound(key, credential), secret)
        self._until.pop(digest, None)
        self._until[digest] = self._clock.monotonic() + self._seconds
        if len(self._until) > self._entries:
            self._until.popitem(last=False)

    def _forget(self) -> None:
        now = self._clock.monotonic()
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def _digest(self, bound: bytes, secret: str) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(bound + secret.encode("utf-8", "surrogatepass"))
        return hashed.digest()
