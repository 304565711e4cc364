"""Logins like the last one: who was let in a moment ago, and may be again by one statement instead of two.

Owns whose login that can be: a password that this process verified lately, for an account of which nothing has changed
since, which the statement itself finds out before it writes the fence (G11). Whatever is otherwise goes the long way,
and is answered there. It costs the same round trips for a wrong password as for an unknown name, as before (G13).
Bounded, and kept in memory alone (G15). Refuses to know limits.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from service.mail.allowances import bounded
from service.mail.passwords import KIND
from service.mail.policy import admits_all, admitted
from service.mail.ports import Lease
from service.mail.verdicts import Verdicts
from service.mail.viewing import shown
from service.model.account import Account, Credential
from service.model.attempts import Subject
from service.model.listing import DropListing
from service.model.proof import Password, Proof
from service.model.refusal import Refusal
from service.model.shown import EVERYTHING

ENTRIES = 16_384
"""Accounts that are remembered, at some 1,200 octets each: 20 MB."""


class Reopening(Protocol):
    """The directory and the index, asked together. Each may raise Refusal(UNAVAILABLE)."""

    async def reopen(self, account: Account, fence: bytes) -> DropListing | None:
        """Write the newest session's fence (16 octets) and read the counters, if the account is as it was seen.

        None, and nothing written, where anything of it has changed: its status, its policy, its credentials. One round
        trip.
        """


class Entrance(Protocol):
    """The leases and the scores of failed logins, asked together."""

    async def ask(self, lease: Lease, pair: Subject | None) -> float | None:
        """Acquire the lease, and look whether anything is held against the pair, where that is counted.

        Seconds for which it will still be known that the pair opened the account, 0 if it isn't known. None where the
        maildrop isn't free, something is held against the pair, or either can't be told: the lease may be held then.
        """


def _untold(seconds: float, judged: bool) -> None:
    """Whom nobody tells what was had."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account, with the policy that binds this session and without its credentials, and the one that opens it."""

    account: Account
    credential: Credential
    bound: bytes
    """What a verdict on the credential is bound to, by `Verdicts.bound`."""
    free: bool
    """Whether the policy says nothing of who may come, and from where."""
    counted: bool
    """Whether its sessions are, since there may be so many at once and no more."""


@dataclass(frozen=True, slots=True)
class Again:
    """The accounts that one process opened lately, by their addresses: however a name is spelled, it is one entry."""

    reopening: Reopening
    entrance: Entrance
    verdicts: Verdicts
    entries: int = ENTRIES
    told: Callable[[float, bool], None] = _untold
    """Hears of each login that didn't go the long way after all: the seconds until it had its lease, and whether the
    shared scores judged it."""
    _known: OrderedDict[str, Known] = field(default_factory=OrderedDict)

    def known(self, proof: Proof | None, mechanism: str, client: str) -> Known | None:
        """What `proof` opens if nothing has changed; None for all that needs another look."""
        # RFC 4616 §2: whether a name may act for another is judged in the usual way, each time.
        if not isinstance(proof, Password) or proof.authzid or not proof.usable:
            return None
        known = self._known.get(_address(proof))
        if known is None or not self.verdicts.knows(known.bound, proof.secret):
            return None
        return known if known.free else _admitted(known, mechanism, client)

    def learn(self, proof: Proof | None, account: Account | None, credential: Credential) -> None:
        """`proof` opened `account`, as the directory brought it, by `credential`: next time it may be asked for so."""
        if not isinstance(proof, Password) or account is None or not _simple(proof, account, credential):
            return
        bound = self.verdicts.bound(account.key, credential)
        policy = account.policy
        free, counted = admits_all(policy, credential), bounded(policy)
        self._known[account.address] = Known(replace(account, credentials=()), credential, bound, free, counted)
        self._known.move_to_end(account.address)
        if len(self._known) > self.entries:
            self._known.popitem(last=False)

    def forget(self, proof: Proof | None) -> None:
        """It isn't as it was."""
        if proof is not None:
            self._known.pop(_address(proof), None)


def _admitted(known: Known, mechanism: str, client: str) -> Known | None:
    """The same with the policy that binds this client's session; None for one that may not come."""
    account = known.account
    try:
        policy = admitted(account.policy, known.credential, mechanism, client)
    except Refusal:
        return None
    if policy is account.policy:
        return known
    return replace(known, account=replace(account, policy=policy), counted=bounded(policy))


def _address(proof: Proof) -> str:
    """The address that a name is, if it is spelled as one but for capitals; any other spelling is nobody's here."""
    return proof.name.lower()


def _simple(proof: Password, account: Account, credential: Credential) -> bool:
    """Whether nothing but the account's own rows has a say in its logins."""
    policy = account.policy
    own = account.seen is not None and account.outside is None and credential.kind == KIND
    return (
        own
        and _address(proof) == account.address
        and not policy.login_delay
        and shown(policy, recent=False) == EVERYTHING
    )
