"""Login: from a proof to an open maildrop, in the order that keeps the guarantees.

Owns the steps: find, verify, lease, fence, delay; and their undoing in reverse when one refuses.
Refuses to know how a proof arrived. One round trip to the directory is made for unknown names too,
and one verifier is checked, so that neither response nor timing tells whether a name exists (G13).
RFC 1939 §4, §7; RFC 2449 §6.5, §8.1; RFC 4616 §2.
"""

import os
from collections.abc import Coroutine
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from service.mail.again import Again, Known
from service.mail.bearer import Bearer
from service.mail.certified import certified
from service.mail.enrolments import Enrolments
from service.mail.guard import Guard
from service.mail.leases import Leases, OnLost
from service.mail.maildrop import KeptIndex, OpenMaildrop
from service.mail.outage import Reading
from service.mail.outside.vouching import Vouching
from service.mail.policy import admitted
from service.mail.ports import Clock, Directory, Holder, Lease, MaildropLocks, MessageIndex
from service.mail.scram import proved
from service.mail.uses import Uses
from service.mail.verification import Verification
from service.mail.viewing import shown, told_apart
from service.model.account import Account, Credential
from service.model.address import compared
from service.model.attempts import Subject
from service.model.listing import DropListing
from service.model.proof import BearerProof, CertificateProof, Password, Proof, ScramProof
from service.model.refusal import Reason, Refusal
from service.model.trail import Trail
from service.model.why import Why

FENCE_OCTETS = TOKEN_OCTETS = 16
NO_NAME = ""
"""Looked up when a proof names nobody, so that the round trip is made all the same."""


class Attempt(NamedTuple):
    """One try to log in, and whom to name as the holder if it succeeds."""

    proof: Proof | None
    mechanism: str
    session_id: str
    client: str
    listener: str = ""
    recent: bool = False
    """Whether the name was told with `recent:` before it, which the login finds out."""


_Like = tuple[Again, Known, Subject | None]
"""What a login goes by that is like the last one: what is known of that, and the account from this address."""


@dataclass(frozen=True, slots=True)
class Login:
    """The use case; `process` names this pod and process among the holders of maildrops."""

    directory: Directory
    verification: Verification
    locks: MaildropLocks
    index: MessageIndex
    leases: Leases
    clock: Clock
    process: str
    enrolments: Enrolments | None = None
    """Gives right passwords keys for SCRAM; None where that isn't offered."""
    uses: Uses | None = None
    """Keeps when credentials were last used."""
    vouching: Vouching | None = None
    """Asks the outside directories that judge passwords themselves; None where there is none."""
    guard: Guard = field(default_factory=Guard)
    """Holds back who guesses passwords; by itself nobody."""
    bearer: Bearer | None = None
    """Takes tokens; None where they aren't offered."""
    reading: Reading | None = None
    """Lets people read on while Postgres is away; None where that isn't wanted."""
    again: Again | None = None
    """Opens by one statement what was opened a moment ago; None where each login is looked up anew."""

    def __call__(self, attempt: Attempt, on_lost: OnLost) -> Coroutine[Any, Any, OpenMaildrop]:
        """The maildrop, held by this session until `close`; `on_lost` is called if another takes it.

        Raises Refusal: CREDENTIALS, LOGIN_DELAY, IN_USE, UNAVAILABLE, OVERLOADED; nothing is held then:
        RFC 1939 §4: "If a lock was acquired but the POP3 server intends to respond with a negative status indicator,
        the POP3 server must release the lock prior to rejecting the command."
        The refusal says for staff alone whose login it was, and why it was refused.
        """
        like = self._like_the_last(attempt)
        return self._anew(attempt, on_lost) if like is None else self._again(like, attempt, on_lost)

    async def _anew(self, attempt: Attempt, on_lost: OnLost) -> OpenMaildrop:
        """The usual way."""
        proof, recent = told_apart(attempt.proof)
        if recent:
            attempt = attempt._replace(proof=proof, recent=recent)
        trial = self.guard.trial(attempt.client, proof)
        try:
            async with trial:
                name = proof.name if proof else NO_NAME
                found = await trial.beside(self.directory.find(name))
                with self.reading.honestly(found) if self.reading else nullcontext():
                    account, credential = await self._verified(found, attempt)
            held = await self._open(account, credential, attempt, on_lost)
        except Refusal as refusal:
            refusal.account = trial.account
            raise
        # Without leases the short way comes to nothing, and costs both ways' round trips.
        if self.again is not None and held.guarded and not recent:
            self.again.learn(proof, found, credential)
        return held

    def _like_the_last(self, attempt: Attempt) -> _Like | None:
        """None for all that needs another look, as a name that asks for the last days alone: none is learned."""
        again, guard = self.again, self.guard
        if again is None or not guard.familiar(pair := guard.pair(attempt.client, attempt.proof)):
            return None
        known = again.known(attempt.proof, attempt.mechanism, attempt.client)
        return None if known is None else (again, known, pair)

    async def _again(self, like: _Like, attempt: Attempt, on_lost: OnLost) -> OpenMaildrop:
        """The maildrop by one statement; where nothing comes of that, nothing is held, and it is opened anew.

        The lease comes first here, too, and whoever has none goes the long way: an older session's fence stays.
        """
        again, known, pair = like
        account, credential, drop, took = known.account, known.credential, None, None
        lease, fence = self._tokens(account, attempt)
        began = self.clock.monotonic()
        try:
            # What is held against the pair is judged in the usual way.
            if (remembered := await again.entrance.ask(lease, pair)) is not None:
                took = self.clock.monotonic() - began
                self.leases.opening(lease, fence, guarded=True)
                if not known.counted or await self._counted(account, attempt, lease):
                    drop = await again.reopening.reopen(account, fence)
                # The long way asks for both once more, and is counted then.
                if drop is None:
                    took = None
        except Refusal as refusal:
            refusal.account = account
            raise
        finally:
            if took is not None:
                again.told(took, pair is not None)
            if drop is None:
                again.forget(attempt.proof)
                await self.leases.release(lease)
        if remembered is None or drop is None:
            return await self._anew(attempt, on_lost)
        if pair is not None:
            self.guard.opened(account, pair, remembered)
        again.verdicts.used()
        self._enrol(account, credential, attempt.proof)
        return self._hold(_opened(account, credential, attempt, (drop, fence, lease, True)), credential, on_lost)

    async def _counted(self, account: Account, attempt: Attempt, lease: Lease) -> bool:
        """Whether the account has a place for this session, by what is remembered: the limit may be another by now."""
        try:
            await self.leases.counted(account, attempt.client, lease)
        except Refusal:
            return False
        return True

    async def _open(self, account: Account, credential: Credential, attempt: Attempt, on_lost: OnLost) -> OpenMaildrop:
        lease, fence = self._tokens(account, attempt)
        guarded = await self._acquire(lease)
        self.leases.opening(lease, fence, guarded=guarded)
        try:
            await self.leases.counted(account, attempt.client, lease)
            drop = await self._drop(account, fence, attempt, guarded)
            await self._not_too_soon(account)
            if self.reading is not None and account.kept is None:
                name = attempt.proof.name if attempt.proof and not attempt.recent else None
                await self.reading.shown(name, account, credential, lease, drop)
        except BaseException:
            await self.leases.release(lease)
            raise
        return self._hold(_opened(account, credential, attempt, (drop, fence, lease, guarded)), credential, on_lost)

    def _hold(self, maildrop: OpenMaildrop, credential: Credential, on_lost: OnLost) -> OpenMaildrop:
        self.leases.hold(maildrop, on_lost)
        if self.uses is not None and maildrop.kept is None:
            self.uses.begin(maildrop.key, credential)
        return maildrop

    def _enrol(self, account: Account, credential: Credential, proof: Proof | None) -> None:
        if self.enrolments is not None and isinstance(proof, Password):
            self.enrolments.begin(account, credential, proof.secret)

    async def _verified(self, account: Account | None, attempt: Attempt) -> tuple[Account, Credential]:
        """What the proof opens, and by what; unknown, wrong, suspended, not allowed: refused alike (G13)."""
        proof = attempt.proof
        if self.vouching is not None:
            account = await self.vouching.judged(account, attempt)
        usable = account if proof and account and account.active else None
        opened = await self._opened(usable, proof)
        if opened is None or usable is None or proof is None:
            raise Refusal(Reason.CREDENTIALS, *_cause(account, proof))
        # RFC 4616 §2: an authorization identity that the name may not act for is refused like a wrong password.
        if proof.authzid and compared(proof.authzid) not in {compared(proof.name), usable.address}:
            raise Refusal(Reason.CREDENTIALS, "may not act for another", Why.NOT_FOR_ANOTHER)
        allowed = replace(usable, policy=admitted(usable.policy, opened, attempt.mechanism, attempt.client))
        if attempt.recent and allowed.policy.recent_days is None:
            raise Refusal(Reason.CREDENTIALS, "the policy has recent: off", Why.POLICY)
        self._enrol(usable, opened, proof)
        return (allowed if self.vouching is None else await self.vouching.housed(allowed)), opened

    async def _drop(self, account: Account, fence: bytes, attempt: Attempt, guarded: bool) -> DropListing:
        """What the session sees; from now on `fence` is the newest, save where it is only remembered, and whole."""
        if self.reading is not None and account.kept is not None:
            return await self.reading.reopened(account, guarded and not attempt.recent)
        return await self.index.open(account.key, fence, shown(account.policy, recent=attempt.recent))

    async def _opened(self, account: Account | None, proof: Proof | None) -> Credential | None:
        match proof:
            case ScramProof():
                return proved(account, proof)
            case CertificateProof():
                return certified(account, proof)
            case BearerProof():
                return await self.bearer(account, proof) if self.bearer else None
            case Password(secret=secret, usable=True):
                return await self.verification(account, secret)
        # RFC 4616 §2: "if preparation fails or results in an empty string, verification SHALL fail", even against a
        # verifier of these very octets; at the cost of an unknown name (G13).
        return await self.verification(None, "")

    async def _not_too_soon(self, account: Account) -> None:
        """RFC 2449 §6.5: "Servers which advertise LOGIN-DELAY SHOULD enforce it."

        It isn't while its counter can't be reached.
        """
        policy = account.policy
        if not policy.login_delay:
            return
        try:
            allowed = await self.locks.may_log_in(account.key, policy.login_delay, policy.login_burst)
        except Refusal:
            return
        if not allowed:
            raise Refusal(Reason.LOGIN_DELAY)

    async def _acquire(self, lease: Lease) -> bool:
        """Whether a lease was had; without the store of leases the fence alone guards (G4).

        RFC 2449 §8.1.2, of [IN-USE]: "It indicates the authentication was successful".
        """
        try:
            free = await self.locks.acquire(lease)
        except Refusal:
            return False
        if not free:
            raise Refusal(Reason.IN_USE)
        return True

    def _tokens(self, account: Account, attempt: Attempt) -> tuple[Lease, bytes]:
        """A lease to be had and a fence to be written, each by chance of its own."""
        chance = os.urandom(TOKEN_OCTETS + FENCE_OCTETS)
        holder = Holder(
            attempt.session_id,
            account.tenant,
            account.address,
            attempt.client,
            attempt.mechanism,
            self.process,
            self.clock.now(),
        )
        return Lease(account.key, chance[:TOKEN_OCTETS].hex(), holder), chance[TOKEN_OCTETS:]


def _opened(
    account: Account, credential: Credential, attempt: Attempt, proofs: tuple[DropListing, bytes, Lease, bool]
) -> OpenMaildrop:
    """What a login comes to: `proofs` are what it holds, its fence, its lease and whether that guards it."""
    a = account
    trail = Trail(attempt.session_id, attempt.client, attempt.mechanism, credential.label)
    return OpenMaildrop(
        a.key, a.tenant, a.address, a.policy, *proofs, trail, attempt.recent, KeptIndex(a.kept) if a.kept else None
    )


def _cause(account: Account | None, proof: Proof | None) -> tuple[str, Why]:
    """For the log and staff alone: the client hears the same in every case (G13)."""
    if proof is None:
        return "the proof proves nothing", Why.NO_PROOF
    if account is None or not account.housed:
        return "no such account", Why.UNKNOWN_NAME
    if account.outside is not None and not account.outside.known:
        return f"directory {account.outside.directory} doesn't know it", Why.UNKNOWN_NAME
    if not account.active:
        return "suspended", Why.SUSPENDED
    if isinstance(proof, Password) and not proof.usable:
        return "the password can't be prepared", Why.UNUSABLE_SECRET
    return "no credential matches", Why.WRONG_SECRET
