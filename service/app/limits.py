"""Which settings bound what a process uses, for its metrics.

Owns the names. Refuses to enforce any. A budget's name is the one that `poplar_budget_octets` gives it.
"""

from collections.abc import Collection, Mapping

from service.mail.text_memory import halves
from service.settings import Settings


def limits_of(settings: Settings, roles: Collection[str]) -> Mapping[str, float]:
    """The limits of a process with these roles: octets for budgets, else numbers."""
    limits, told = settings.limits, {"connections": settings.limits.connections}
    told["pool"] = settings.database.connections
    if "pop3" in roles:
        told |= {
            "prefetch": limits.prefetch_process_octets,
            "retrieval": limits.retrieval_octets,
            "listings": limits.listing_octets,
            "hashing": settings.hashing.queue,
        }
    if "lmtp" in roles:
        first, more = halves(limits.delivery_octets)
        told |= {"delivery": limits.delivery_octets, "delivery_first": first, "delivery_more": more}
    return told
