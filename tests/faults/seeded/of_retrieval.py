"""Defects in what is listed and sent. RFC 1939 §3 (byte-stuffing), §5 (LIST, RETR), §7 (UIDL)."""

import hashlib
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from pytest import MonkeyPatch  # noqa: PT013

from service.mail.prefetch import Prefetch
from service.mail.retrieval import Retrieval
from service.model.account import MaildropKey
from service.model.beginnings import Beginning
from service.model.listing import DropListing, Listing
from service.model.message import Blob, NewMessage, StoredMessage
from service.model.refusal import Refusal
from service.net.pop3_performing import Performer
from service.protocol.bytestuffing import Stuffer
from service.protocol.pop3 import responses
from service.stores.memory.index import MemoryMessageIndex
from tests.faults.seeded import scenarios, scenarios_of_mail
from tests.faults.seeded.defect import defect


@defect("G8", scenarios_of_mail.the_store_corrupts)
def the_digest_is_not_checked(patch: MonkeyPatch) -> None:
    """What the store gives is sent, whatever it is."""

    async def trusting(self: Retrieval, key: str, before: Any, start: int, end: Beginning, *rest: Any) -> Any:
        return await self._read(key, start, end.octets, *rest), before

    def hasty(self: Retrieval, message: StoredMessage, octets: bytes) -> bytes | None:
        return message.trace + octets

    patch.setattr(Retrieval, "_part", trusting)
    patch.setattr(Retrieval, "proven", hasty)


@defect("G8", scenarios_of_mail.the_store_corrupts)
def the_last_piece_is_not_held_back(patch: MonkeyPatch) -> None:
    """A large message is sent as it comes, and its digest computed for nothing."""
    pieces = Retrieval.pieces

    async def trusting(self: Retrieval, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        if message.blob.octets <= 1024 * 1024:
            async for piece in pieces(self, message):
                yield piece
            return
        digest = hashlib.sha256()
        yield message.trace
        async for piece in self._stream(message.blob, message.blob.octets):
            digest.update(piece)
            yield piece

    patch.setattr(Retrieval, "pieces", trusting)


@defect("G8", scenarios_of_mail.the_store_fails_in_the_middle)
def a_cut_message_ends_with_a_dot(patch: MonkeyPatch) -> None:
    """Where the store fails in the middle, what came so far is ended like a whole message."""

    async def content(self: Retrieval, blob: Blob, end: int) -> AsyncIterator[bytes]:
        try:
            async for piece in self.blobs.stream(blob.key, 0, end):
                yield piece
        except Refusal:
            return

    async def pieces(self: Retrieval, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        yield message.trace
        async for piece in content(self, message.blob, message.blob.octets):
            yield piece

    patch.setattr(Retrieval, "pieces", pieces)


@defect("G8 G9", scenarios_of_mail.a_large_message_comes)
def dots_between_two_pieces_are_missed(patch: MonkeyPatch) -> None:
    """A line that begins with a dot where a piece begins isn't byte-stuffed."""
    feed = Stuffer.feed
    begun = WeakSet[Stuffer]()

    def shortsighted(self: Stuffer, piece: bytes) -> bytes:
        if self._last == b"\r\n" and self in begun:
            self._last = b"xx"
        begun.add(self)
        return feed(self, piece)

    patch.setattr(Stuffer, "feed", shortsighted)


@defect("G9", scenarios.an_ordinary_day)
def list_counts_without_trace_lines(patch: MonkeyPatch) -> None:
    """LIST says the blob's octets, and RETR sends more."""
    patch.setattr(NewMessage, "octets", property(lambda self: self.blob.octets))


@defect("G9", scenarios.an_ordinary_day)
def stat_counts_a_line_end_more(patch: MonkeyPatch) -> None:
    """STAT counts two octets a message more than LIST."""

    drop_listing = responses.drop_listing

    def generous(messages: int, octets: int) -> bytes:
        return drop_listing(messages, octets + 2 * messages)

    patch.setattr(responses, "drop_listing", generous)


@defect("G8 G7", scenarios.an_ordinary_day)
def what_was_fetched_ahead_is_another_message(patch: MonkeyPatch) -> None:
    """RETR takes whatever was fetched ahead."""
    take, take_ready = Prefetch.take, Prefetch.take_ready

    async def careless(self: Prefetch, sequence: int) -> bytes | None:
        return await take(self, max(self._ahead, default=sequence))

    def hasty(self: Prefetch, message: StoredMessage, most: int) -> bytes | None:
        return take_ready(self, replace(message, sequence=max(self._ahead, default=message.sequence)), most)

    patch.setattr(Prefetch, "take", careless)
    patch.setattr(Prefetch, "take_ready", hasty)


@defect("G14 G9", scenarios.postgres_fails_at_a_listing)
def a_listing_is_cut_short_by_an_error(patch: MonkeyPatch) -> None:
    """What was read until Postgres failed is listed, as if it were all."""
    load = Performer.load_listing

    async def hopeful(self: Performer) -> None:
        held = self._held()
        try:
            await self._service.index.listing(held.key, held.drop)
        except Refusal:
            whole = await self._service.index.listing(held.key, held.drop)
            half = Listing(whole.sequences[:1], whole.octets[:1], whole.unique_ids[:16])
            self._session.listing_loaded(half)
        else:
            await load(self)

    patch.setattr(Performer, "load_listing", hopeful)


@defect("G9", scenarios_of_mail.mail_comes_during_a_session)
def numbers_are_not_frozen(patch: MonkeyPatch) -> None:
    """The listing is what is there when it is first asked for, not at the login."""

    async def current(self: MemoryMessageIndex, key: MaildropKey, drop: DropListing) -> Listing:
        rows = [row for _, row in sorted(self._rows(key).items()) if row.removed_at is None]
        sequences = array("q", (row.sequence for row in rows))
        octets = array("q", (row.message.octets for row in rows))
        return Listing(sequences, octets, b"".join(row.message.unique_id.bytes for row in rows))

    patch.setattr(MemoryMessageIndex, "listing", current)


@defect("G7", scenarios.an_ordinary_day)
def the_unique_id_is_the_number(patch: MonkeyPatch) -> None:
    """UIDL says a message's number, which the next session gives to another."""
    patch.setattr(Listing, "unique_id", lambda self, number: f"{number}")
