"""The steps for maildrops and their aliases.

Owns which are created, changed, pointed elsewhere and removed. Refuses to know credentials.
"""

from collections.abc import Iterator, Sequence

from service.mail.declared.present import Present
from service.mail.declared.steps import Change, Kind, Step, differences
from service.mail.declared.wanted import WantedMaildrop, WantedTenant
from service.mail.declared.wishes import Wishes, policy_change
from service.mail.new_names import unfit_alias, unfit_maildrop
from service.model.account import Status
from service.model.address import Address, parse_address
from service.model.refusal import Refusal
from service.model.tenancy import NOTHING_SET, AliasView, MaildropView, counted


def in_order(wanted: WantedTenant, there: Present) -> Sequence[WantedMaildrop]:
    """Those that exist by their ids, as everybody locks them; then the new ones."""
    views = there.maildrops

    def order(maildrop: WantedMaildrop) -> tuple[bool, str]:
        view = views.get(maildrop.address.base)
        return (True, maildrop.address.base) if view is None else (False, view.maildrop_id.hex)

    return sorted((wanted.maildrops or {}).values(), key=order)


def steps(wanted: WantedMaildrop, there: Present, wishes: Wishes) -> Iterator[Step]:
    """Create the maildrop or change it. Raises Refusal(INVALID) where a new one may not have its name."""
    view = there.maildrops.get(wanted.address.base)
    if view is None:
        yield _creation(wanted)
    yield from _standing(wanted, view)
    if view is not None:
        yield from _policy(wanted, view, wishes)


def _creation(wanted: WantedMaildrop) -> Step:
    address, policy = wanted.address, wanted.policy or NOTHING_SET
    _refuse(address, unfit_maildrop(address))
    changes = differences({}, policy)
    return Step(
        Kind.CREATE, "maildrop", str(address), lambda h: h.tenancy.maildrops.create(h.act, address, policy), changes
    )


def _refuse(address: Address, refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refusal(refusal.reason, f"{address}: {refusal.cause}")


def _standing(wanted: WantedMaildrop, view: MaildropView | None) -> Iterator[Step]:
    address, new = wanted.address, wanted.status
    status = Status.ACTIVE if view is None else view.status
    if new is not None and new is not status:
        changes = (Change("status", status.value, new.value),)
        yield Step(
            Kind.CHANGE,
            "maildrop",
            str(address),
            lambda h: h.tenancy.maildrops.set_status(h.act, address, new),
            changes,
        )


def _policy(wanted: WantedMaildrop, view: MaildropView, wishes: Wishes) -> Iterator[Step]:
    address = wanted.address
    if change := policy_change(wanted.policy, view.policy, wishes):
        changes = differences(view.policy, change.applied_to(view.policy))
        yield Step(
            Kind.CHANGE,
            "maildrop",
            str(address),
            lambda h: h.tenancy.maildrops.set_policy(h.act, address, change),
            changes,
        )


def removals(wanted: WantedTenant, there: Present, wishes: Wishes) -> Iterator[Step]:
    """Aliases first, then maildrops by id: what comes after may take their names."""
    if not wishes.prune:
        return
    kept = {str(alias) for alias, _ in wanted.aliases()}
    for view in there.aliases.values():
        target = (wanted.maildrops or {}).get(view.address)
        if target is not None and target.aliases is not None and view.alias not in kept:
            yield _alias_removal(parse_address(view.alias), view)
    for each in sorted(_unnamed(wanted, there), key=lambda view: view.maildrop_id.hex):
        yield _removal(parse_address(each.address), each)


def gone(wanted: WantedTenant, there: Present, wishes: Wishes) -> frozenset[str]:
    """The addresses of the maildrops that are removed, and with each what leads there."""
    return frozenset(view.address for view in _unnamed(wanted, there)) if wishes.prune else frozenset()


def _unnamed(wanted: WantedTenant, there: Present) -> list[MaildropView]:
    """The maildrops that a written section of maildrops doesn't name."""
    if wanted.maildrops is None:
        return []
    return [view for address, view in there.maildrops.items() if address not in wanted.maildrops]


def _removal(address: Address, view: MaildropView) -> Step:
    held = (Change("holds", counted(view.messages, "message"), None),)
    return Step(Kind.REMOVE, "maildrop", view.address, lambda h: h.tenancy.maildrops.remove(h.act, address), held)


def _alias_removal(alias: Address, view: AliasView) -> Step:
    led = (Change("address", view.address, None),)
    return Step(Kind.REMOVE, "alias", view.alias, lambda h: h.tenancy.aliases.remove(h.act, alias), led)


def alias_steps(wanted: WantedTenant, there: Present, wishes: Wishes) -> Iterator[Step]:
    """Create aliases, and point those that lead elsewhere. Raises Refusal(INVALID) as `steps` does."""
    removed = gone(wanted, there, wishes)
    for alias, target in wanted.aliases():
        view = there.aliases.get(str(alias))
        if view is None:
            _refuse(alias, unfit_alias(alias))
        if view is None or view.address in removed:
            yield _alias_creation(alias, target)
        elif view.address != target.base:
            yield _pointing(alias, target, view.address)


def _alias_creation(alias: Address, target: Address) -> Step:
    changes = (Change("address", None, str(target)),)
    return Step(Kind.CREATE, "alias", str(alias), lambda h: h.tenancy.aliases.create(h.act, alias, target), changes)


def _pointing(alias: Address, target: Address, before: str) -> Step:
    changes = (Change("address", before, str(target)),)
    return Step(Kind.CHANGE, "alias", str(alias), lambda h: h.tenancy.aliases.point(h.act, alias, target), changes)
