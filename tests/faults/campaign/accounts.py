"""The maildrops that a campaign's clients share, and what opens them.

Owns which passwords there may be: while a change of staff's is under way, or nobody knows whether it was made, the old
and the new one. Refuses to know how they are changed (`staff.py`).
"""

import random
from dataclasses import dataclass, field

from service.app.provisioning import provisioning
from service.settings import Settings
from tests.faults.operations import Recorder

TENANTS = {"orchard": "orchard.example", "meadow": "meadow.example"}
"""Each with a domain of its own; both have the same users."""


def secret(serial: int) -> str:
    """The password of this serial number: each change brings the next."""
    return f"correct horse {serial}"


@dataclass(eq=False)
class Account:
    """One maildrop; `serials` are of the passwords that may open it, the newest last."""

    address: str
    serials: list[int] = field(default_factory=lambda: [0])

    def serial(self, dice: random.Random) -> int:
        """Of a password to log in with: now and then of one that opens it no more."""
        if self.serials[0] > 0 and dice.random() < 0.03:
            return self.serials[0] - 1
        return dice.choice(self.serials)


async def provide(settings: Settings, count: int, recorder: Recorder) -> list[Account]:
    """So many empty maildrops, shared out among the tenants."""
    each = range(1, count // len(TENANTS) + 1)
    accounts = [Account(f"user{number}@{domain}") for number in each for domain in TENANTS.values()]
    async with provisioning(settings, "campaign") as desk:
        for tenant, domain in TENANTS.items():
            await desk.tenants.create(tenant)
            await desk.domains.create(tenant, domain)
        for account in accounts:
            await desk.maildrops.create(account.address)
            with recorder.begin("staff", "password", None, account.address, secret="0") as operation:
                await desk.credentials.create(account.address, await desk.passwords.credential(secret(0)))
                operation.end("ok")
    return accounts
