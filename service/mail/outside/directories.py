"""The outside directories of a service, by the names that tenants choose them by.

Owns which one is in force for whom. A name that the settings don't have refuses the tenant's logins as unavailable:
never does Poplar's own credential open what another system is to judge. Refuses to know what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from service.mail.outside.guard import Guard
from service.model.outside import OWN
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Known:
    """A directory, and whether whom it knows gets a maildrop without staff's doing."""

    guard: Guard
    provides: bool = False


@dataclass(frozen=True, slots=True)
class Directories:
    """All of them; `default` is in force for tenants that chose none, and empty for Poplar's own credentials."""

    named: Mapping[str, Known] = field(default_factory=lambda: MappingProxyType({}))
    default: str = ""

    def of(self, choice: str | None) -> Known | None:
        """The one in force for a tenant's choice; None for Poplar's own credentials. Raises Refusal(UNAVAILABLE)."""
        name = choice or self.default or OWN
        if name == OWN:
            return None
        if name not in self.named:
            raise Refusal(Reason.UNAVAILABLE, f"a tenant uses the directory {name}, which the settings don't have")
        return self.named[name]
