"""Defects around leases and logins: who holds a maildrop, and who gets in. RFC 1939 §4, RFC 3206 §4, RFC 2595 §9."""

from collections.abc import Callable

from pytest import MonkeyPatch  # noqa: PT013

from service.mail.leases import Leases
from service.mail.login import Attempt, Login
from service.mail.ports import Lease
from service.mail.verdicts import Verdicts
from service.model.account import Account, Credential, MaildropKey
from service.model.listing import DropListing
from service.model.refusal import Reason, Refusal
from service.protocol.pop3 import responses
from service.protocol.pop3.capabilities import Surroundings
from service.protocol.pop3.session import Session
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.redis import keys
from tests.faults.seeded import scenarios
from tests.faults.seeded.defect import defect


@defect("G4", scenarios.a_session_outlasts_its_lease)
def leases_are_not_renewed(patch: MonkeyPatch) -> None:
    """A session longer than its lease loses the maildrop."""

    async def idle(self: Leases) -> None:
        """Do nothing."""

    patch.setattr(Leases, "renew", idle)


@defect("G5 G4", scenarios.redis_forgets_a_session_that_stays)
def a_lost_session_is_not_told(patch: MonkeyPatch) -> None:
    """The older session goes on for as long as it likes."""
    patch.setattr(Leases, "_lose", lambda self, token: self._held.pop(token, None))


@defect("G6", scenarios.a_front_end_dies)
def leases_never_end(patch: MonkeyPatch) -> None:
    """A lease has no end of its own, so that a dead front end holds its maildrops for ever."""

    def endless(self: MemoryMaildropLocks, key: MaildropKey) -> object:
        return self._held.get(key)

    patch.setattr(MemoryMaildropLocks, "_current", endless)


@defect("G6", scenarios.an_ordinary_day)
def quit_keeps_the_lease(patch: MonkeyPatch) -> None:
    """An orderly end leaves the lease to run out."""

    async def forgetful(self: Leases, lease: Lease) -> None:
        self._held.pop(lease.token, None)

    patch.setattr(Leases, "release", forgetful)


@defect("G6", scenarios.neighbours_log_in, real=True)
def two_maildrops_share_a_lease(patch: MonkeyPatch) -> None:
    """The lease's key names the tenant alone."""
    patch.setattr(keys, "_tag", lambda key: f"{{{key.tenant_id.hex}}}")


@defect("G11", scenarios.the_password_changes)
def a_verdict_outlives_the_password(patch: MonkeyPatch) -> None:
    """What is remembered of a right password isn't bound to the stored verifier."""
    bound = Verdicts.bound

    def careless(key: MaildropKey, credential: Credential) -> bytes:
        return bound(key, Credential(credential.credential_id, credential.kind, ""))

    patch.setattr(Verdicts, "bound", staticmethod(careless))


@defect("G11", scenarios.staff_suspend)
def a_suspended_maildrop_is_opened_from_a_cache(patch: MonkeyPatch) -> None:
    """The directory's answer is remembered by name."""
    find = MemoryDirectory.find
    known: dict[str, Account | None] = {}

    async def cached(self: MemoryDirectory, name: str) -> Account | None:
        if known.get(name) is None:
            known[name] = await find(self, name)
        return known[name]

    patch.setattr(MemoryDirectory, "find", cached)


@defect("G14", scenarios.postgres_fails_at_a_login)
def a_fault_is_told_as_a_wrong_password(patch: MonkeyPatch) -> None:
    """[AUTH], whatever went wrong."""
    patch.setitem(responses.REFUSALS, Reason.UNAVAILABLE, responses.REFUSALS[Reason.CREDENTIALS])


@defect("G14", scenarios.postgres_fails_at_a_login)
def a_fault_is_told_without_a_code(patch: MonkeyPatch) -> None:
    """A plain -ERR, which a mail program takes for a wrong password."""
    patch.setitem(responses.REFUSALS, Reason.UNAVAILABLE, b"-ERR Sorry\r\n")


@defect("G14", scenarios.postgres_fails_at_a_login)
def an_error_is_an_empty_maildrop(patch: MonkeyPatch) -> None:
    """Where the counters can't be read, STAT says 0 and the client forgets all it knew."""
    drop = Login._drop

    async def hopeful(self: Login, account: Account, fence: bytes, attempt: Attempt, guarded: bool) -> DropListing:
        try:
            return await drop(self, account, fence, attempt, guarded)
        except Refusal:
            return DropListing(0, 0, 0, 0)

    patch.setattr(Login, "_drop", hopeful)


@defect("G8 G9 G14", scenarios.somebody_stands_in_the_middle)
def what_came_before_tls_is_kept(patch: MonkeyPatch) -> None:
    """Commands received in clear behind STLS are run after the handshake."""

    def careless(self: Session, private: bool, surroundings: Callable[[], Surroundings]) -> None:
        self._effect = None
        self.authentication = self.named = None
        self.come_to(private, surroundings)

    patch.setattr(Session, "tls_started", careless)
