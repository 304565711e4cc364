"""Keys for SCRAM made of a password that was just found right, for credentials that have none.

Owns when: beside the login and never in its way, so that passwords set before SCRAM was switched on, or brought from
another system, get keys by being used. They stand only beside exactly the verifier that was verified, so a password
changed meanwhile stays changed (G11). Bounded; whatever goes wrong, the next login tries again.
RFC 5802 §3, RFC 5803 §1.
"""

import asyncio
from collections.abc import Callable
from uuid import UUID

from service.mail.ports import Verifiers
from service.mail.scram import ScramChallenges
from service.model.account import Account, Credential
from service.model.refusal import Refusal
from service.model.scram import derive_scram

MOST = 8
"""Derivations at a time: each takes a thread for some milliseconds."""
GRACE = 2.0
"""Seconds for which a process that ends waits for those under way."""


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
        self._running: dict[UUID, asyncio.Task[None]] = {}

    def begin(self, account: Account, credential: Credential, secret: str) -> None:
        """Make keys of `secret`, which just opened `credential`, unless it has some."""
        which = credential.credential_id
        if credential.scram is not None or which in self._running or len(self._running) >= MOST:
            return
        task = asyncio.create_task(self._enrol(account, credential, secret))
        self._running[which] = task
        task.add_done_callback(lambda _: self._running.pop(which, None))

    async def settled(self) -> None:
        """Wait for all that have begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def close(self) -> None:
        """Give those under way a short while, then end them; each leaves whole keys or none."""
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE)
            for task in late:
                task.cancel()

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
