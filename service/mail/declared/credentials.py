"""The steps for the credentials of one maildrop.

Owns that a secret which is set stays unless it is known to be outdated, and that an app password always does.
Refuses to read secrets and verifiers.
"""

from collections.abc import Iterator

from service.mail.declared.present import Present
from service.mail.declared.steps import Change, Hands, Kind, Need, Step
from service.mail.declared.wanted import WantedCredential, WantedMaildrop
from service.mail.declared.wishes import Wishes
from service.model.account import Status
from service.model.address import Address
from service.model.app_password import KIND as APP
from service.model.refusal import Reason, Refusal
from service.model.tenancy import CredentialView


def steps(maildrop: WantedMaildrop, there: Present, wishes: Wishes) -> Iterator[Step]:
    """What to do with the maildrop's credentials. Raises Refusal(INVALID) where a new one has no secret."""
    if maildrop.credentials is None:
        return
    address = maildrop.address
    views = {view.label: view for view in there.credentials.get(address.base, ())}
    for label, view in views.items():
        # An app password is made up for a device, so that no declaration could name it.
        if wishes.prune and label not in maildrop.credentials and view.kind != APP:
            yield _removal(address, label)
    for label, wanted in maildrop.credentials.items():
        yield from _credential((address, label), wanted, views.get(label), wishes)


def _credential(
    name: tuple[Address, str], wanted: WantedCredential, view: CredentialView | None, wishes: Wishes
) -> Iterator[Step]:
    if view is None:
        yield _creation(name, wanted)
    elif wanted.secret is not None and name in wishes.outdated:
        # Where it says itself whether the credential is suspended, nobody takes the new password for one that opens.
        yield _replacement(name, Need(*name, wanted.secret), suspended=wanted.status is not None)
    status, new = Status.ACTIVE if view is None else view.status, wanted.status
    if new is not None and new is not status:
        yield _standing(name, status, new)


def _creation(name: tuple[Address, str], wanted: WantedCredential) -> Step:
    if wanted.secret is None:
        raise Refusal(Reason.INVALID, f"{_told(name)} isn't there yet and names no secret")
    need = Need(*name, wanted.secret)

    async def create(hands: Hands) -> None:
        await hands.tenancy.credentials.create(hands.act, need.address, await hands.safe.credential(need))

    return Step(Kind.CREATE, "credential", _told(name), create, need=need)


def _replacement(name: tuple[Address, str], need: Need, *, suspended: bool) -> Step:
    async def replace(hands: Hands) -> None:
        made = await hands.safe.credential(need)
        await hands.tenancy.credentials.change(hands.act, need.address, made, suspended=suspended)

    changes = (Change("secret", "stored", "declared"),)
    return Step(Kind.CHANGE, "credential", _told(name), replace, changes, need)


def _standing(name: tuple[Address, str], before: Status, new: Status) -> Step:
    changes = (Change("status", before.value, new.value),)
    return Step(
        Kind.CHANGE,
        "credential",
        _told(name),
        lambda h: h.tenancy.credentials.set_status(h.act, *name, new),
        changes,
    )


def _removal(address: Address, label: str) -> Step:
    name = _told((address, label))
    return Step(Kind.REMOVE, "credential", name, lambda h: h.tenancy.credentials.remove(h.act, address, label))


def _told(name: tuple[Address, str]) -> str:
    address, label = name
    return f"{label} of {address}"
