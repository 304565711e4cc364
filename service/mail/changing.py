"""What becomes of a credential whose password is changed, one by itself or many in a batch.

Owns why a change is refused: it would free an app password of its limits, or the new password would open nothing.
Refuses to know how credentials are stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from service.model.account import Status
from service.model.address import Address
from service.model.app_password import KIND as APP
from service.model.refusal import Reason, Refusal
from service.model.tenancy import CredentialView, NewCredential


@dataclass(frozen=True, slots=True)
class Shut:
    """A password that opens nothing now: it is suspended, or was good until a moment that is past."""

    verifier: str
    suspended: bool
    ended: datetime | None

    def refusal(self, address: Address, new: NewCredential) -> Refusal | None:
        """Why `new` isn't put in its place, where it would open nothing either; None if it is the same one."""
        if new.verifier == self.verifier:
            return None
        if self.suspended:
            return _suspended(address, new.label)
        return _over_already(address, new.label, self.ended) if self.ended and not new.expires else None


def changed(
    there: Sequence[CredentialView], address: Address, new: NewCredential, now: datetime, *, suspended: bool = False
) -> NewCredential:
    """What stands under the label of `new` after a change of the password: it ends when it did, unless `new` ends.

    Raises Refusal: NOT_FOUND; INVALID for an app password, which a password would free of its limits, and where the
    new password would open nothing: the end is past, or the credential is suspended and `suspended` is false.
    """
    for view in there:
        if view.label == new.label:
            if view.kind == APP:
                raise app_password_stays(address, view.label)
            if view.status is Status.SUSPENDED and not suspended:
                raise _suspended(address, view.label)
            ends = new.expires or view.expires
            if ends is not None and ends <= now:
                raise _over_already(address, view.label, ends)
            return replace(new, expires=ends)
    raise Refusal(Reason.NOT_FOUND, f"{address} has no credential labelled {new.label}")


def app_password_stays(address: Address, label: str) -> Refusal:
    """Why no password takes an app password's label, which would free it of its limits."""
    return Refusal(Reason.INVALID, f"{label} of {address} is an app password: remove it, and make a new one")


def _suspended(address: Address, label: str) -> Refusal:
    return Refusal(Reason.INVALID, f"{label} of {address} is suspended: resume it first, or remove it first")


def _over_already(address: Address, label: str, ended: datetime) -> Refusal:
    at = f"{label} of {address} ended at {ended.isoformat(timespec='seconds')}"
    return Refusal(Reason.INVALID, f"{at}: change it by itself and give an end (--expires), or remove it first")
