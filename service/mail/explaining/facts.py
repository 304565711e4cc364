"""All that is known of one address at one moment: what is stored, who holds the maildrop, what was tried lately.

Owns the gathering, in the order in which one thing leads to the next. Refuses to judge. The register of recent logins
may be out of reach: then the answer is poorer, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.mail.explaining.likeness import closest
from service.mail.guard import Guard
from service.mail.naming import owned, plainly
from service.mail.ports import Clock, Holder
from service.mail.recent import Attempt, RecentLogins, UnknownName
from service.mail.tenancy import Page, Tenancy
from service.mail.viewing import bare, is_recent
from service.model.account import MaildropKey, Status
from service.model.address import Address, parse_address
from service.model.attempts import Verdict
from service.model.event import Kind
from service.model.outside import OWN
from service.model.policy import Policy
from service.model.policy_table import policy_of
from service.model.refusal import Refusal
from service.model.tenancy import AliasView, CredentialView, DomainView, MaildropView, TenantView

NEIGHBOURS = 2_000
"""Maildrops of the domain that are compared with a name that isn't there."""
SUGGESTIONS = 3
CLIENTS = 5
"""Clients refused lately that the guard is asked about, where none is named."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts come from."""

    tenancy: Tenancy
    recent: RecentLogins
    clock: Clock
    default_directory: str = ""
    """The outside directory of tenants that chose none; empty for Poplar's own credentials."""
    guard: Guard = field(default_factory=Guard)
    """Who is held back for wrong passwords."""
    certificates: bool = False
    """Whether front ends ask clients for a certificate, with which EXTERNAL logs in."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered; what isn't there is None or empty."""

    now: datetime
    address: Address
    client: str | None
    domain: DomainView | None = None
    tenant: TenantView | None = None
    directory: str | None = None
    """The outside directory that judges the passwords, if one does."""
    maildrop: MaildropView | None = None
    alias: AliasView | None = None
    alike: tuple[str, ...] = ()
    """Maildrops with a similar name, where there is none of this name."""
    credentials: Sequence[CredentialView] = ()
    issuers: Sequence[str] = ()
    """Names of those whose tokens open the tenant's maildrops."""
    certificates: bool = False
    """Whether a client certificate that names it opens it."""
    attempts: Sequence[Attempt] | None = ()
    """The last one first; None while the register is out of reach."""
    holder: Holder | None = None
    last_delivery: datetime | None = None
    held_back: Mapping[str, Verdict] = field(default_factory=dict)
    """Clients whose logins under this name would wait or be refused unseen now."""
    recent: bool = False
    """Whether it is asked about a login that sees the last days alone."""

    @property
    def policy(self) -> Policy:
        """What binds the maildrop."""
        return policy_of({**self.maildrop.inherited, **self.maildrop.policy}) if self.maildrop else Policy()

    @property
    def tried(self) -> Sequence[Attempt]:
        """What was tried lately, by the client that is asked about if one is."""
        return [each for each in self.attempts or () if self.client in {None, each.client}]

    @property
    def logins(self) -> Sequence[Attempt]:
        """The successful ones, by whatever client."""
        return [each for each in self.attempts or () if each.kind is Kind.LOGIN]


def when(moment: datetime) -> str:
    """A moment as a person reads it, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


async def gathered(sources: Sources, text: str, tenant: str | None, client: str | None) -> Facts:
    """The facts about the address in `text`. Raises Refusal: INVALID, NOT_FOUND, UNAVAILABLE."""
    with plainly():
        address = parse_address(bare(text))
    facts = Facts(sources.clock.now(), address, client, certificates=sources.certificates, recent=is_recent(text))
    domains = sources.tenancy.domains
    domain = await owned(domains, address.domain, tenant) if tenant else await domains.find(address.domain)
    if domain is None:
        return await _with_attempts(sources, facts)
    tenant_view = await sources.tenancy.tenants.find(domain.tenant)
    facts = replace(facts, domain=domain, tenant=tenant_view, directory=await _directory(sources, domain))
    maildrop = await sources.tenancy.maildrops.find(domain.tenant, replace(address, tag=""))
    if maildrop is None:
        return await _with_attempts(sources, await _without_maildrop(sources, facts, domain))
    sources.guard.tenants.learn(domain.name, domain.tenant)
    return await _with_guard(sources, await _with_attempts(sources, await _with_maildrop(sources, facts, maildrop)))


async def _directory(sources: Sources, domain: DomainView) -> str | None:
    name = await sources.tenancy.directories.of(domain.tenant) or sources.default_directory or OWN
    return None if name == OWN else name


async def _with_maildrop(sources: Sources, facts: Facts, maildrop: MaildropView) -> Facts:
    name = replace(facts.address, tag="")
    issuers = await sources.tenancy.issuers.of(maildrop.tenant)
    return replace(
        facts,
        maildrop=maildrop,
        issuers=[each.name for each in issuers if each.status is Status.ACTIVE],
        credentials=await sources.tenancy.credentials.of(maildrop.tenant, name),
        last_delivery=await sources.tenancy.maildrops.last_delivery(maildrop.tenant, name),
    )


async def _without_maildrop(sources: Sources, facts: Facts, domain: DomainView) -> Facts:
    alias = await sources.tenancy.aliases.find(domain.tenant, replace(facts.address, tag=""))
    if alias is not None:
        return replace(facts, alias=alias)
    names = await _neighbours(sources.tenancy, domain, facts.address.local)
    close = closest(facts.address.local, names, SUGGESTIONS)
    return replace(facts, alike=tuple(f"{local}@{domain.name}" for local in close))


async def _neighbours(tenancy: Tenancy, domain: DomainView, local: str) -> Sequence[str]:
    """Local parts of the domain, all of a small one: of a large one those that begin like `local`, or after it."""
    rows: Sequence[MaildropView] = ()
    for start in ("", local[:1]):
        rows = await tenancy.maildrops.page(domain.tenant, Page(f"{start}@{domain.name}", NEIGHBOURS))
        rows = [row for row in rows if row.address.endswith(f"@{domain.name}")]
        if len(rows) < NEIGHBOURS:
            break
    return [row.address.rpartition("@")[0] for row in rows]


async def _with_attempts(sources: Sources, facts: Facts) -> Facts:
    """With what was tried under this name, also before it was a maildrop's."""
    try:
        attempts = _since(facts.domain, await sources.recent.of(UnknownName(str(facts.address))))
        holder = None
        if facts.maildrop is not None and facts.tenant is not None:
            key = MaildropKey(facts.tenant.tenant_id, facts.maildrop.maildrop_id)
            attempts += await sources.recent.of(key)
            holder = await sources.recent.holder(key)
    except Refusal:
        return replace(facts, attempts=None)
    attempts.sort(key=lambda attempt: attempt.last, reverse=True)
    return replace(facts, attempts=attempts, holder=holder)


def _since(domain: DomainView | None, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those in its present tenant's time: before, the domain may have been another's (G10).

    Of an entry that began before only its last attempt is left, as how many came since isn't known.
    """
    if domain is None:
        return list(attempts)
    own = [each for each in attempts if each.last >= domain.created]
    return [each if each.first >= domain.created else replace(each, first=each.last, count=1) for each in own]


async def _with_guard(sources: Sources, facts: Facts) -> Facts:
    """With what the guard would do now to the client that is asked about, else to those refused last."""
    refused = [each.client for each in facts.attempts or () if each.kind is Kind.REFUSAL]
    clients = [facts.client] if facts.client else list(dict.fromkeys(refused))[:CLIENTS]
    held_back = {}
    try:
        for client in clients:
            _, verdict = await sources.guard.standing(client, str(facts.address))
            if verdict.by is not None:
                held_back[client] = verdict
    except Refusal:
        return facts
    return replace(facts, held_back=held_back)
