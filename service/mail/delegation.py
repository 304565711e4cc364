"""What a tenant's own admin may make of the limits that the provider sold.

Owns one rule: a maildrop's own value may be tighter than its tenant's, and not looser. Refuses to know who asks.
RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from service.model.policy_table import RULES
from service.model.refusal import Reason, Refusal
from service.model.tenancy import Overrides, PolicyChange


def check_tighter(tenant: Overrides, current: Overrides, change: PolicyChange) -> None:
    """Raises Refusal(INVALID) naming the first value that the change would loosen; one that stands already may stay.

    What the provider loosened for a maildrop is lost when it is changed.
    """
    for name, value in change.values.items():
        kept = name in current and current[name] == value
        if name in tenant and name in RULES and not kept and RULES[name].looser(value, tenant[name]):
            raise Refusal(Reason.INVALID, f"{name}: only the provider can loosen what the tenant's policy sets")
