"""The steps that lead from what there is to what is declared, in an order in which each can be taken.

Owns that order: the tenant, new domains, removals, maildrops with their credentials, aliases, catch-alls, and last the
domains that go. Maildrops are changed by id, as deliveries lock them. Refuses to take a step, and to name one for what
the declaration leaves out.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from service.mail.declared import credentials, maildrops
from service.mail.declared.present import Present
from service.mail.declared.steps import Change, Kind, Step, differences
from service.mail.declared.wanted import Unsaid, WantedDomain, WantedTenant
from service.mail.declared.wishes import Wishes, policy_change
from service.model.account import Status
from service.model.tenancy import NOTHING_SET, DomainView, TenantView


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps for one tenant; none where everything is as declared."""

    tenant: str
    steps: tuple[Step, ...] = ()

    def removals(self) -> frozenset[tuple[Kind, str, str]]:
        """What goes."""
        return frozenset(step.key for step in self.steps if step.kind is Kind.REMOVE)


def planned(wanted: WantedTenant, there: Present, wishes: Wishes) -> Plan:
    """The steps. Raises Refusal(INVALID) where a new credential has no secret."""
    return Plan(wanted.name, tuple(_steps(wanted, there, wishes)))


def _steps(wanted: WantedTenant, there: Present, wishes: Wishes) -> Iterator[Step]:
    yield from _tenant(wanted, there.tenant, wishes)
    yield from _directory(wanted, there.directory)
    named = (wanted.domains or {}).values()
    for domain in named:
        yield from _domain(domain, there.domains.get(domain.name))
    yield from maildrops.removals(wanted, there, wishes)
    for maildrop in maildrops.in_order(wanted, there):
        yield from maildrops.steps(maildrop, there, wishes)
        yield from credentials.steps(maildrop, there, wishes)
    yield from maildrops.alias_steps(wanted, there, wishes)
    removed = maildrops.gone(wanted, there, wishes)
    for domain in named:
        yield from _catch_all(domain, there.domains.get(domain.name), removed)
    if wishes.prune and wanted.domains is not None:
        yield from (_gone(name) for name in sorted(set(there.domains) - wanted.domain_names()))


def creation(wanted: WantedTenant) -> Step:
    """The step that creates the tenant."""
    policy = wanted.policy or NOTHING_SET
    changes = differences({}, policy)
    return Step(Kind.CREATE, "tenant", wanted.name, lambda h: h.tenancy.tenants.create(h.act, policy), changes)


def _tenant(wanted: WantedTenant, view: TenantView | None, wishes: Wishes) -> Iterator[Step]:
    if view is None:
        yield creation(wanted)
    status = Status.ACTIVE if view is None else view.status
    new = wanted.status
    if new is not None and new is not status:
        change = (Change("status", status.value, new.value),)
        yield Step(Kind.CHANGE, "tenant", wanted.name, lambda h: h.tenancy.tenants.set_status(h.act, new), change)
    if view is not None and (change_ := policy_change(wanted.policy, view.policy, wishes)):
        changes = differences(view.policy, change_.applied_to(view.policy))
        yield Step(Kind.CHANGE, "tenant", wanted.name, lambda h: h.tenancy.tenants.set_policy(h.act, change_), changes)


def _directory(wanted: WantedTenant, before: str | None) -> Iterator[Step]:
    name = wanted.directory
    if not isinstance(name, Unsaid) and name != before:
        changes = (Change("directory", before or "default", name or "default"),)
        yield Step(Kind.CHANGE, "tenant", wanted.name, lambda h: h.tenancy.directories.choose(h.act, name), changes)


def _domain(wanted: WantedDomain, view: DomainView | None) -> Iterator[Step]:
    name, new = wanted.name, wanted.status
    if view is None:
        yield Step(Kind.CREATE, "domain", name, lambda h: h.tenancy.domains.create(h.act, name))
    status = Status.ACTIVE if view is None else view.status
    if new is not None and new is not status:
        changes = (Change("status", status.value, new.value),)
        yield Step(Kind.CHANGE, "domain", name, lambda h: h.tenancy.domains.set_status(h.act, name, new), changes)


def _catch_all(wanted: WantedDomain, view: DomainView | None, removed: Set[str]) -> Iterator[Step]:
    """One that leads to a removed maildrop is none: to name it again is then refused, with the removal."""
    target, before = wanted.catch_all, view.catch_all if view and view.catch_all not in removed else None
    if isinstance(target, Unsaid) or (target and target.base) == before:
        return
    changes = (Change("catch_all", before, target and target.base),)
    name = wanted.name
    yield Step(Kind.CHANGE, "domain", name, lambda h: h.tenancy.domains.set_catch_all(h.act, name, target), changes)


def _gone(name: str) -> Step:
    return Step(Kind.REMOVE, "domain", name, lambda h: h.tenancy.domains.remove(h.act, name, cascade=False))
