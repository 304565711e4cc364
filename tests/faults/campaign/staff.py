"""Staff who change passwords, suspend maildrops and end sessions while all else goes on.

Owns their acts, each noted as begun and answered. What is refused or not answered counts as unknown, and is done again
until it is answered: only then is it said to bind (G11).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from service.app.provisioning import provisioning
from service.app.staff import evict
from service.mail.provisioning import Provisioning
from service.model.account import Status
from service.model.refusal import Reason, Refusal
from tests.faults.campaign.accounts import Account, secret
from tests.faults.campaign.house import House
from tests.faults.operations import Kind, Recorder

NAME = "staff"
PATIENCE = 20.0
"""Seconds after which an act that wasn't answered is given up, and done again."""
Act = Callable[[Provisioning], Awaitable[object]]


@dataclass(eq=False)
class Staff:
    """One of them."""

    house: House
    accounts: Sequence[Account]
    recorder: Recorder
    dice: random.Random

    async def work(self, stop: asyncio.Event) -> None:
        """One act after another until `stop` is set; no maildrop stays suspended."""
        while not stop.is_set():
            account = self.dice.choice(self.accounts)
            act = self.dice.choices((self._change, self._suspend, self._kick), (3, 2, 3))[0]
            await act(account)
            await asyncio.sleep(self.dice.uniform(0.5, 3))

    async def _change(self, account: Account) -> None:
        serial = account.serials[-1] + 1
        account.serials.append(serial)

        async def change(desk: Provisioning) -> None:
            await desk.credentials.replace(account.address, await desk.passwords.credential(secret(serial)))

        await self._done("password", account, change, secret=str(serial))
        account.serials = [serial]

    async def _suspend(self, account: Account) -> None:
        def turn(to: Status) -> Act:
            return lambda desk: desk.maildrops.set_status(account.address, to)

        await self._done("suspend", account, turn(Status.SUSPENDED))
        await asyncio.sleep(self.dice.uniform(0.2, 2))
        await self._done("resume", account, turn(Status.ACTIVE))

    async def _kick(self, account: Account) -> None:
        with self.recorder.begin(NAME, "kick", None, account.address) as operation:
            try:
                await evict(self.house.staff(), NAME, account.address)
            except Refusal as refusal:
                operation.end("fail" if refusal.reason is Reason.NOT_FOUND else "unknown", refusal.reason.value)
            else:
                operation.end("ok")

    async def _done(self, kind: Kind, account: Account, act: Act, **facts: object) -> None:
        """Act until it was answered."""
        while True:
            with self.recorder.begin(NAME, kind, None, account.address, **facts) as operation:
                try:
                    async with asyncio.timeout(PATIENCE), provisioning(self.house.staff(), NAME) as desk:
                        await act(desk)
                except (Refusal, TimeoutError) as error:
                    operation.end("unknown", repr(error))
                else:
                    operation.end("ok")
                    return
            await asyncio.sleep(0.3)
