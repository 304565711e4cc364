"""Defects around UPDATE: what is removed, when, and what the client hears of it. RFC 1939 §5 (DELE, RSET), §6."""

import asyncio
from array import array
from collections.abc import Sequence

from pytest import MonkeyPatch  # noqa: PT013

from service.mail.maildrop import OpenMaildrop
from service.mail.update import Update
from service.model.aftermath import Aftermath
from service.model.refusal import Reason, Refusal
from service.net.pop3_performing import Performer
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.marks import Marks
from service.protocol.pop3.session import Session
from tests.faults.seeded import scenarios
from tests.faults.seeded.defect import defect

NO_COMPARISON = """
CREATE OR REPLACE FUNCTION remove_messages(
    the_tenant uuid, the_maildrop uuid, the_fence uuid, the_sequences bigint[],
    the_session text, the_client text, the_mechanism text, the_credential text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
    freed bigint;
BEGIN
    WITH marked AS (
        UPDATE messages m SET removed_at = clock_timestamp(), removed_in = d.removals + 1, removed_by = the_fence
        FROM maildrops d
        WHERE (d.tenant_id, d.maildrop_id) = (the_tenant, the_maildrop)
          AND (m.tenant_id, m.maildrop_id) = (the_tenant, the_maildrop)
          AND m.sequence = ANY (the_sequences) AND m.removed_at IS NULL
        RETURNING m.octets
    )
    SELECT count(*), coalesce(sum(octets), 0) INTO gone, freed FROM marked;
    UPDATE maildrops SET messages = messages - gone, octets = octets - freed, removals = removals + 1
    WHERE tenant_id = the_tenant AND maildrop_id = the_maildrop;
    RETURN true;
END $$
"""


@defect("G4", scenarios.redis_forgets_a_session_that_removes, sql=NO_COMPARISON)
def the_fence_is_not_compared(patch: MonkeyPatch) -> None:
    """remove_messages removes, whichever session is the newest."""


@defect("G3", scenarios.postgres_fails_at_a_removal)
def ok_before_the_commit(patch: MonkeyPatch) -> None:
    """QUIT is answered before the removal is known to have happened."""
    update, updated, refused = Performer.update, Session.updated, Session.refused
    answered: list[Session] = []

    async def hasty(self: Performer, effect: effects.Update) -> None:
        updated(self._session)
        answered.append(self._session)
        await update(self, effect)

    def updated_once(self: Session) -> None:
        if not any(self is one for one in answered):
            updated(self)

    def refused_never(self: Session, reason: Reason, wait: float | None = None, *, final: bool = False) -> None:
        if not any(self is one for one in answered):
            refused(self, reason, wait, final=final)

    patch.setattr(Performer, "update", hasty)
    patch.setattr(Session, "updated", updated_once)
    patch.setattr(Session, "refused", refused_never)


@defect("G4", scenarios.postgres_is_slow_to_remove)
def the_lease_goes_before_the_removal(patch: MonkeyPatch) -> None:
    """The maildrop is given back first, and its messages are removed then."""

    async def eager(
        self: Update, maildrop: OpenMaildrop, sequences: Sequence[int], retrieved: Sequence[int] = ()
    ) -> None:
        await self.close(maildrop)
        aftermath = Aftermath(retrieved, maildrop.undo_days)
        await self.index.remove(maildrop.key, maildrop.fence, sequences, maildrop.trail, aftermath)

    patch.setattr(Update, "__call__", eager)


@defect("G3", scenarios.postgres_fails_at_a_removal)
def removed_one_by_one(patch: MonkeyPatch) -> None:
    """Each message is removed by a statement of its own, and the first failure ends it."""

    async def piecemeal(
        self: Update, maildrop: OpenMaildrop, sequences: Sequence[int], retrieved: Sequence[int] = ()
    ) -> None:
        try:
            for sequence in sequences:
                await self.index.remove(maildrop.key, maildrop.fence, [sequence], maildrop.trail)
        finally:
            await self.close(maildrop)

    patch.setattr(Update, "__call__", piecemeal)


@defect("G3", scenarios.postgres_fails_at_a_removal)
def half_of_it_and_the_outcome_unknown(patch: MonkeyPatch) -> None:
    """Each is removed by a statement of its own, and a failure is told as an unknown outcome: all or none."""

    async def piecemeal(
        self: Update, maildrop: OpenMaildrop, sequences: Sequence[int], retrieved: Sequence[int] = ()
    ) -> None:
        try:
            for sequence in sequences:
                await self.index.remove(maildrop.key, maildrop.fence, [sequence], maildrop.trail)
        except Refusal as refusal:
            raise Refusal(Reason.UNKNOWN_OUTCOME, refusal.cause) from refusal
        finally:
            await self.close(maildrop)

    patch.setattr(Update, "__call__", piecemeal)


@defect("G3", scenarios.the_answer_about_a_removal_is_lost)
def an_unknown_outcome_is_told_as_none(patch: MonkeyPatch) -> None:
    """Where nobody knows whether messages were removed, the client hears that none was."""
    patch.setitem(responses.REFUSALS, Reason.UNKNOWN_OUTCOME, responses.REFUSALS[Reason.LOST])


@defect("G1", scenarios.an_ordinary_day)
def the_next_one_is_removed(patch: MonkeyPatch) -> None:
    """Off by one: QUIT removes the message after each that is marked."""

    sequences = Marks._sequences

    def shifted(self: Marks, chosen: int) -> "array[int]":
        # The last octet is that of the last message, whose next one is itself.
        return sequences(self, chosen >> 8 | chosen & 1)

    patch.setattr(Marks, "_sequences", shifted)


@defect("G1 G2", scenarios.an_ordinary_day)
def rset_is_forgotten(patch: MonkeyPatch) -> None:
    """RSET is answered, and the marks stay."""
    patch.setattr(Marks, "unmark_all", lambda _: None)


@defect("G2", scenarios.an_ordinary_day)
def a_dropped_line_counts_as_quit(patch: MonkeyPatch) -> None:
    """A session that ends without QUIT removes what it had marked."""
    free = Performer.free

    async def thorough(self: Performer) -> None:
        held, session = self._maildrop, self._session
        if held is not None and session.marks.count:
            await self._service.index.remove(held.key, held.fence, session.marks.parting(session.policy).sequences)
        await free(self)

    patch.setattr(Performer, "free", thorough)


@defect("G2", scenarios.a_front_end_dies)
def dele_removes_at_once(patch: MonkeyPatch) -> None:
    """What is marked is removed then, not at QUIT."""
    mark = Marks.mark
    tasks: set[asyncio.Task[None]] = set()
    performers: dict[int, Performer] = {}
    opened = Performer._opened

    def noted(self: Performer, held: OpenMaildrop) -> None:
        opened(self, held)
        performers[id(self._session.marks)] = self

    def hasty(self: Marks, number: int) -> None:
        mark(self, number)
        performer = performers[id(self)]
        held = performer._held()
        removal = performer._service.index.remove(held.key, held.fence, [self.sequence_of(number)])
        task = asyncio.ensure_future(removal)
        tasks.add(task)

    patch.setattr(Performer, "_opened", noted)
    patch.setattr(Marks, "mark", hasty)
