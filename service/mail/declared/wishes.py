"""How far a declaration goes: what it may remove and replace.

Owns the two wishes and what pruning means for a policy. Refuses to know steps.
"""

from dataclasses import dataclass

from service.model.address import Address
from service.model.tenancy import Overrides, PolicyChange


@dataclass(frozen=True, slots=True)
class Wishes:
    """Without any, things are added and changed, never removed; a secret that is set stays."""

    prune: bool = False
    """Remove what a section that is written doesn't name."""
    outdated: frozenset[tuple[Address, str]] = frozenset()
    """Credentials, by address and label, whose secret is to be put in the place of the stored one."""


def policy_change(wanted: Overrides | None, current: Overrides, wishes: Wishes) -> PolicyChange | None:
    """What to change of a level's policy, or None; pruning gives back what isn't named."""
    if wanted is None:
        return None
    values = {name: value for name, value in wanted.items() if name not in current or current[name] != value}
    inherited = frozenset(current) - frozenset(wanted) if wishes.prune else frozenset[str]()
    return PolicyChange(values, inherited) if values or inherited else None
