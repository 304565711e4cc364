"""Keys for SCRAM made of a password that was just found right, for credentials that have none.

Owns when: beside the login and never in its way, so that passwords set before SCRAM was switched on, or brought from
another system, get keys by being used. They stand only beside exactly the verifier that was verified, so a password
changed meanwhile stays changed (G11). Bounded; whatever goes wrong, the next login tries again.
RFC 5802 §3, RFC 5803 §1.
"""

import asyncio
from collections.abc import Callable

from service.mail.afterwards import Afterwards
from service.mail.passwords import KIND
from service.mail.ports import Verifiers
from service.mail.scram import ScramChallenges
from service.model.account import Account, Credential
from service.model.refusal import Refusal
from service.model.scram import derive_scram

MOST = 8
"""Derivations at a time: each takes a thread for some milliseconds."""


def _untold(outcome: str) -> None:
    """Whom nobody tells what came of an enrolment."""


class Enrolments:
    """Gives keys to credentials; `told` hears `added`, `outrun` (another verifier stood there by then) or `refused`."""

    def __init__(
        self, challenges: ScramChallenges, verifiers: Verifiers, told: Callable[[str], None] = _untold
    ) -> None:
        self.challenges = challenges
        self._verifiers = verifiers
        self._told = told
        self._work = Afterwards(MOST)

    def begin(self, account: Account, credential: Credential, secret: str) -> None:
        """Make keys of `secret`, which just opened `credential`, unless it has some."""
        if credential.kind == KIND and credential.scram is None and not credential.kept_outside:
            self._work.begin(credential.credential_id, lambda: self._enrol(account, credential, secret))

    async def settled(self) -> None:
        """Wait for all that have begun."""
        await self._work.settled()

    async def close(self) -> None:
        """Give those under way a short while, then end them; each leaves whole keys or none."""
        await self._work.close()

    async def _enrol(self, account: Account, credential: Credential, secret: str) -> None:
        # The salt that the name was answered with while it had no keys: new keys don't show (G13).
        salt = self.challenges.nobodys(account.address).salt
        keys = await asyncio.to_thread(derive_scram, secret, salt)
        try:
            added = await self._verifiers.add_scram(account.key, credential.credential_id, credential.verifier, keys)
        except Refusal:
            self._told("refused")
        else:
            self._told("added" if added else "outrun")
