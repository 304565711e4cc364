"""Makes a tenant be as it is declared: all of it in one transaction, or nothing.

Owns the way from the comparison to the acts, and that it may be gone twice, or by two at once: the second one waits for
the first, compares again and finds nothing to do. Refuses to remove what wasn't in the plan that was shown.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from service.mail.declared.planning import Plan, creation, planned
from service.mail.declared.present import present
from service.mail.declared.steps import Hands, Safe, Step
from service.mail.declared.wanted import Secret, WantedTenant
from service.mail.declared.wishes import Wishes
from service.mail.passwords import Passwords
from service.mail.ports import Directory
from service.mail.tenancy import Act
from service.mail.units import Unit, Units
from service.model.address import Address
from service.model.refusal import Reason, Refusal

TRIES = 3
PAUSE = 0.5
"""Seconds before another try."""


@dataclass(frozen=True, slots=True)
class Applier:
    """Who applies declarations, and through which stores."""

    units: Units
    directory: Directory
    passwords: Passwords
    actor: str

    async def wishes(self, wanted: Sequence[WantedTenant], prune: bool, reset: bool) -> Wishes:
        """What is wished for; with `reset`, each stored secret is compared with the declared one.

        Raises Refusal: INVALID where a secret isn't there, UNAVAILABLE.
        """
        every = [each for tenant in wanted for each in tenant.credentials()] if reset else []
        outdated = [
            (address, label)
            for address, label, credential in every
            if credential.secret is not None and await self._outdated(address, label, credential.secret)
        ]
        return Wishes(prune, frozenset(outdated))

    async def plan(self, wanted: WantedTenant, wishes: Wishes) -> Plan:
        """What would be done now. Raises Refusal."""
        async with self.units.open(None) as unit:
            return planned(wanted, await present(unit.tenancy, wanted, wishes.prune), wishes)

    async def ready(self, plans: Sequence[Plan]) -> Safe:
        """Every secret that the plans need, so that none is missed half-way. Raises Refusal."""
        safe = Safe(self.passwords)
        for need in [step.need for plan in plans for step in plan.steps if step.need]:
            await safe.credential(need)
        return safe

    async def apply(self, wanted: WantedTenant, wishes: Wishes, shown: Plan, safe: Safe) -> Plan:
        """What was done: all of it, or nothing if this raises Refusal.

        Tried again after a deadlock or a failover: what was done already is then not to be done any more.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return await self._once(wanted, wishes, shown, safe)
            except Refusal as refusal:
                if refusal.reason is not Reason.UNAVAILABLE or attempt == TRIES:
                    raise
            await asyncio.sleep(PAUSE)
        raise AssertionError("the last try returns or raises")

    async def _once(self, wanted: WantedTenant, wishes: Wishes, shown: Plan, safe: Safe) -> Plan:
        async with self.units.open(None) as unit:
            hands = Hands(unit.tenancy, Act(self.actor, wanted.name), safe)
            first = await _held(unit, hands, wanted)
            plan = planned(wanted, await present(unit.tenancy, wanted, wishes.prune), wishes)
            if not plan.removals() <= shown.removals():
                raise Refusal(Reason.INVALID, f"tenant {wanted.name} changed meanwhile; look at the difference again")
            for step in plan.steps:
                await step.do(hands)
        return Plan(wanted.name, (*first, *plan.steps))

    async def _outdated(self, address: Address, label: str, secret: Secret) -> bool:
        account = await self.directory.find(str(address))
        stored = [each.verifier for each in account.credentials if each.label == label] if account else []
        text = secret.read()
        if not stored:
            return True
        return stored[0] != text.strip() if secret.hashed else not await self.passwords.proves(stored[0], text)


async def _held(unit: Unit, hands: Hands, wanted: WantedTenant) -> tuple[Step, ...]:
    """Keep others from changing the tenant and the named domains; the step that created the tenant, if one did."""
    first: tuple[Step, ...] = ()
    if not await _tenant_held(unit, wanted.name):
        step = creation(wanted)
        try:
            await step.do(hands)
            first = (step,)
        except Refusal as refusal:
            # Somebody else created it this moment.
            if refusal.reason is not Reason.EXISTS:
                raise
        await unit.holds.tenant(wanted.name)
    for name in sorted(wanted.domain_names()):
        view = await unit.tenancy.domains.find(name)
        if view is not None and view.tenant == wanted.name:
            await unit.holds.domain(wanted.name, name)
    return first


async def _tenant_held(unit: Unit, name: str) -> bool:
    try:
        await unit.holds.tenant(name)
    except Refusal as refusal:
        if refusal.reason is not Reason.NOT_FOUND:
            raise
        return False
    return True
