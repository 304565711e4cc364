"""Bugs on purpose, one at a time: what a simulation must find that is worth its time.

Owns the patches; none of them is ever in `service/`. Each breaks one rule of design.md §7. Two that do no
harm are left out: where the lease is released before the removal the fence still decides, and where the sweep forgets
rows before it deletes their blobs its next search finds these.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

from service.mail.delivery import Addressee, Transaction
from service.mail.leases import Leases
from service.mail.login import Login
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Lease, Renewal
from service.mail.retrieval import Retrieval
from service.mail.verdicts import Verdicts
from service.model.account import Credential, MaildropKey
from service.model.beginnings import Beginning
from service.model.listing import Listing
from service.model.message import Blob, StoredMessage
from service.model.refusal import Reason, Refusal
from service.net.conversation import Conversation
from service.net.pop3_performing import Performer
from service.protocol.pop3 import effects
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.locks import MemoryMaildropLocks
from tests.simulation.faults import Weather

Bug = AbstractContextManager[Any]


def no_fence() -> Bug:
    """The removal doesn't compare the fence (G4)."""
    remove = MemoryMessageIndex.remove

    async def unfenced(self: Any, key: MaildropKey, fence: bytes, *rest: Any) -> None:
        await remove(self, key, self._state.fences.get(key, fence), *rest)

    return mock.patch.object(MemoryMessageIndex, "remove", unfenced)


def answered_before_commit() -> Bug:
    """QUIT is answered whatever became of the removal (G3)."""

    async def hasty(self: Performer, effect: effects.Update) -> None:
        held, self._maildrop = self._held(), None
        if self._messages is not None:
            self._messages.clear()
        with suppress(Refusal):
            await self._service.update(held, effect.sequences, effect.retrieved)
        self._session.updated()

    return mock.patch.object(Performer, "update", hasty)


def lease_not_renewed() -> Bug:
    """Nobody renews (G4, G5)."""

    async def forgotten(self: Leases, every: float, _report: Callable[[Refusal | None], None]) -> None:
        await asyncio.sleep(every * 1_000_000)

    return mock.patch.object(Leases, "keep", forgotten)


def lease_kept_after_refusal() -> Bug:
    """A login that is refused once it has the lease keeps it (G6)."""
    release = Leases.release

    async def forgetful(self: Leases, lease: Lease) -> None:
        if lease.token in self._held:
            await release(self, lease)

    return mock.patch.object(Leases, "release", forgetful)


def digest_not_checked() -> Bug:
    """A message goes out as it was read (G8)."""

    async def part(self: Retrieval, key: str, before: Any, start: int, end: Beginning, *rest: Any) -> tuple[bytes, Any]:
        return await self._read(key, start, end.octets, *rest), before

    def proven(self: Retrieval, message: StoredMessage, octets: bytes) -> bytes | None:
        return message.trace + octets

    return mock.patch.multiple(Retrieval, _part=part, proven=proven)


def top_not_checked() -> Bug:
    """TOP sends what it read of a header and some lines (G8)."""

    async def top(self: Retrieval, message: StoredMessage, lines: int) -> AsyncGenerator[bytes, None]:
        blob = message.blob
        yield message.trace + await self._read(blob.key, 0, blob.octets if lines else blob.header_octets)

    return mock.patch.object(Retrieval, "top", top)


def row_before_blob() -> Bug:
    """Rows are written while the blob is on its way (G1)."""

    async def settled(self: Any, _seconds: float) -> None:
        return None

    return mock.patch("service.mail.shipment.Copy.settled", settled)


def unlisted_after_failure() -> Bug:
    """A blob is deleted when the answer to its rows is lost, though they may be there (G1)."""
    listed = Transaction._list

    async def tidy(self: Transaction, tenant: Any, blob: Blob | Refusal) -> Mapping[Addressee, Refusal | None]:
        outcomes = await listed(self, tenant, blob)
        if isinstance(blob, Blob):
            await self._discard_unlisted(blob, outcomes.values())
        return outcomes

    return mock.patch.object(Transaction, "_list", tidy)


def answered_250_too_early() -> Bug:
    """A fault of the index is answered 250 (G1)."""
    listed = Transaction._list

    async def sure(self: Transaction, tenant: Any, blob: Blob | Refusal) -> Mapping[Addressee, Refusal | None]:
        outcomes = await listed(self, tenant, blob)
        return {key: None if one and one.reason is Reason.UNAVAILABLE else one for key, one in outcomes.items()}

    return mock.patch.object(Transaction, "_list", sure)


def listing_shortened() -> Bug:
    """A listing that can't be had is shown empty (G14)."""

    async def load(self: Performer) -> None:
        held = self._held()
        try:
            listing = await self._service.index.listing(held.key, held.drop)
        except Refusal:
            listing = Listing()
        self._session.listing_loaded(listing)

    return mock.patch.object(Performer, "load_listing", load)


def fault_called_auth() -> Bug:
    """A directory that is away is answered like a wrong password (G14)."""
    call = Login.__call__

    async def mistaken(self: Login, *args: Any) -> OpenMaildrop:
        try:
            return await call(self, *args)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE:
                raise Refusal(Reason.CREDENTIALS) from refusal
            raise

    return mock.patch.object(Login, "__call__", mistaken)


def changed_password_ignored() -> Bug:
    """What was verified once opens the maildrop, whatever is stored now (G11)."""

    def by_name(self: Any, key: MaildropKey, credential: Credential, secret: str) -> bytes:
        return f"{key} {credential.credential_id} {secret}".encode()

    return mock.patch.object(Verdicts, "_digest", by_name)


def sequence_reused() -> Bug:
    """A removed message's number is given to the next one (G7, G9)."""
    remove = MemoryMessageIndex.remove

    async def rewound(self: Any, key: MaildropKey, *rest: Any) -> None:
        await remove(self, key, *rest)
        rows, maildrop = self._state.messages.get(key, {}), self._state.maildrops[key]
        while rows.get(maildrop.next_sequence - 1) and rows[maildrop.next_sequence - 1].removed_at:
            maildrop.next_sequence -= 1

    return mock.patch.object(MemoryMessageIndex, "remove", rewound)


def budget_leaks() -> Bug:
    """What a text held of the memory isn't given back where it was abandoned (G15)."""

    async def abandon(self: Transaction) -> None:
        await self._shipment.abandon()

    return mock.patch.object(Transaction, "abandon", abandon)


def removed_on_dropped_line() -> Bug:
    """A session that ends without QUIT removes what it marked (G2)."""
    free = Performer.free

    async def eager(self: Performer) -> None:
        held, marks = self._maildrop, self._session.marks if self._maildrop else None
        if held is not None and marks is not None and marks.count:
            with suppress(Refusal):
                sequences = [marks.sequence_of(number) for number in marks._marked]
                await self._service.index.remove(held.key, held.fence, sequences)
        await free(self)

    return mock.patch.object(Performer, "free", eager)


def overtaken_is_never_told() -> Bug:
    """An older session hears nothing of one that overtook it without a lease and is over (G5)."""
    return mock.patch.object(Leases, "_owe")


def _amid(mishap: str, bug: Bug) -> Bug:
    """`bug` where nothing but this mishap happens: what it takes is rare among all of them."""
    stack = ExitStack()
    stack.enter_context(bug)
    stack.enter_context(mock.patch("tests.simulation.site.MISHAPS", (mishap,)))
    return stack


def eviction_lasts_a_lease() -> Bug:
    """An evicted maildrop stays taken for a lease from then on, though its holder is dead (G6)."""
    evict = MemoryMaildropLocks.evict

    async def lasting(self: Any, key: MaildropKey) -> bool:
        evicted = await evict(self, key)
        if evicted:
            self._held[key] = replace(self._held[key], until=self._clock.monotonic() + self._seconds)
        return evicted

    return _amid("kill", mock.patch.object(MemoryMaildropLocks, "evict", lasting))


def eviction_forgotten() -> Bug:
    """Whom staff evicted takes the lease again, if it ran out while the process stood still (G5)."""

    async def renew(self: Any, leases: Sequence[Lease]) -> Renewal:
        free = [lease for lease in leases if self._current(lease.key) is None]
        lost = [lease for lease in leases if not self._take(lease)]
        return Renewal(lost, [lease for lease in free if lease not in lost])

    return _amid("pause", mock.patch.object(MemoryMaildropLocks, "renew", renew))


def connection_forgets_to_finish() -> Bug:
    """A connection that is lost while an effect is performed gives nothing back (G6)."""
    performed = Conversation._performed

    def careless(self: Conversation, task: "asyncio.Task[None]") -> None:
        if self._transport is None:
            self._task = None
            return
        performed(self, task)

    return mock.patch.object(Conversation, "_performed", careless)


BUGS: Sequence[Callable[[], Bug]] = (
    *(no_fence, answered_before_commit, removed_on_dropped_line, sequence_reused, changed_password_ignored),
    *(lease_not_renewed, lease_kept_after_refusal, overtaken_is_never_told, connection_forgets_to_finish),
    *(eviction_lasts_a_lease, eviction_forgotten),
    *(digest_not_checked, top_not_checked),
    *(row_before_blob, unlisted_after_failure, answered_250_too_early, budget_leaks),
    *(listing_shortened, fault_called_auth),
)
NEEDS: Mapping[Callable[[], Bug], Weather] = {
    no_fence: Weather(0.3, ("forgotten", "late", "refused"), focus=frozenset({"acquire", "renew", "remove"})),
    overtaken_is_never_told: Weather(0.3, ("refused",), focus=frozenset({"acquire"})),
    eviction_forgotten: Weather(0.001, ("refused",)),
    connection_forgets_to_finish: Weather(0.3, ("paused", "silent"), leaves=0.5),
    top_not_checked: Weather(corrupts=0.3),
    changed_password_ignored: Weather(0.01, ("refused",)),
}
"""What must go wrong for those that a few schedules of any weather don't show."""
