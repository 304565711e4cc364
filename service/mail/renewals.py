"""Verifiers made anew after a login, when they were made by another system or at another cost.

Owns when: after a password was found right, beside the login and never in its way; whatever goes wrong, the login
stands and the next one tries again. The new verifier takes the place of exactly the one that was verified, so a
password changed meanwhile stays changed (G11). Bounded, and refused rather than late. Refuses to know the schemes.
"""

from collections.abc import Callable

from service.mail.afterwards import Afterwards
from service.mail.ports import PasswordHashes, Verifiers
from service.model.account import Credential, MaildropKey
from service.model.refusal import Refusal

MOST = 16
"""Renewals at a time: they share the queue of computations with the logins."""


def _untold(outcome: str) -> None:
    """Whom nobody tells what came of a renewal."""


class Renewals:
    """Renews verifiers; `told` hears `replaced`, `outrun` (another stood there by then) or `refused`."""

    def __init__(self, hashes: PasswordHashes, verifiers: Verifiers, told: Callable[[str], None] = _untold) -> None:
        self._hashes = hashes
        self._verifiers = verifiers
        self._told = told
        self._work = Afterwards(MOST)

    def begin(self, key: MaildropKey, credential: Credential, secret: str) -> None:
        """Renew the verifier of `credential`, which `secret` just opened, unless it is as it should be."""
        if not (credential.kept_outside or self._hashes.current(credential.verifier)):
            self._work.begin(credential.credential_id, lambda: self._renew(key, credential, secret))

    async def settled(self) -> None:
        """Wait for all that have begun."""
        await self._work.settled()

    async def close(self) -> None:
        """Give those under way a short while, then end them; each leaves the old verifier or the new one."""
        await self._work.close()

    async def _renew(self, key: MaildropKey, credential: Credential, secret: str) -> None:
        try:
            new = await self._hashes.hash(secret)
            placed = await self._verifiers.replace(key, credential.credential_id, credential.verifier, new)
        except Refusal:
            self._told("refused")
        else:
            self._told("replaced" if placed else "outrun")
