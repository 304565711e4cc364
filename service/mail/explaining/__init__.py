"""Why a client can't log in, answered from what is stored and from what was tried lately.

Owns the use case in three steps: `facts` gathers, `findings` judges and `attempts` puts what was tried into words.
Refuses to change anything, and to see beyond the tenant it is asked about (G10). It tells staff, never a client (G13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.mail.explaining.attempts import Told, told
from service.mail.explaining.facts import Facts, Sources, gathered
from service.mail.explaining.findings import findings
from service.mail.explaining.verdict import verdict
from service.mail.ports import Holder
from service.model.explanation import Finding
from service.model.tenancy import CredentialView

__all__ = ["Explanation", "Sources", "Told", "explained"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer; `verdict` is one sentence, the rest is what it stands on."""

    address: str
    tenant: str | None
    """None where the domain is nobody's."""
    verdict: str
    findings: Sequence[Finding]
    attempts: Sequence[Told]
    """Logins and refusals lately, the last one first; those of one sort are one, with their number."""
    credentials: Sequence[CredentialView]
    session: Holder | None
    """Who holds the maildrop now."""
    last_login: datetime | None
    last_delivery: datetime | None


async def explained(
    sources: Sources, address: str, tenant: str | None = None, client: str | None = None
) -> Explanation:
    """Why a client, at this network address if one is given, can or can't log in as `address`.

    Raises Refusal: INVALID (no address), NOT_FOUND (a given tenant doesn't own the domain), UNAVAILABLE.
    """
    facts = await gathered(sources, address, tenant, client)
    found = findings(facts)
    return Explanation(
        str(facts.address),
        facts.domain.tenant if facts.domain else None,
        verdict(facts, found),
        found,
        [told(attempt) for attempt in facts.tried],
        facts.credentials,
        facts.holder,
        _last_login(facts),
        facts.last_delivery,
    )


def _last_login(facts: Facts) -> datetime | None:
    """From the register, or, after that forgot it, roughly from the credentials."""
    moments = [attempt.last for attempt in facts.logins] + [c.last_used for c in facts.credentials if c.last_used]
    return max(moments, default=None)
