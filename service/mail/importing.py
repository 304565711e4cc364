"""Import: the messages of an mbox file or a Maildir into one maildrop, in their order.

Owns the order (blobs durable, then rows) and that a second run adds only what is missing: each message's unique-id
comes of its text, its maildrop and how often the text occurred before, so it is known again. The UIDL that clients
know a message by is kept where the archive tells it and no other message of the maildrop has it (G7). A message counts
as received when it is imported, so that no retention removes old mail at once. Refuses to know progress bars. Files
are read on the event loop: an import has its process to itself.
RFC 1939 §7 (unique-ids).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import UUID

from service.mail.archives import Archive, ArchivedMessage
from service.mail.dovecot import DEFAULT_FORMAT, UidlFormat
from service.mail.maildir import Maildir
from service.mail.mbox import Mbox
from service.mail.ports import BlobStore, Clock, Directory, MessageIndex
from service.mail.shipment import blob_key
from service.model.account import Recipient
from service.model.address import parse_address
from service.model.message import Blob, NewMessage
from service.model.refusal import Reason, Refusal
from service.model.text import LineEnds, Measure
from service.model.unique_id import of_content

AT_ONCE = 16
"""Messages stored at the same time; each is streamed, so this bounds memory too."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one message: stored, `known` from an earlier run, or refused."""

    name: str
    octets: int
    """Octets it takes in the archive."""
    known: bool = False
    kept: bool = False
    """It was stored with the UIDL that the earlier server's clients know it by."""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    message: ArchivedMessage
    unique_id: UUID
    kept: str | None
    blob: Blob


def open_archive(path: Path, uidl: str = DEFAULT_FORMAT, *, unlisted: bool = False) -> Archive:
    """The archive at `path`: a Maildir if it is a directory with `cur` or `new`, an mbox if it is a file. `uidl` is the
    `pop3_uidl_format` of a Dovecot that it comes from; with `unlisted` what that has given no UIDL yet is taken too.

    Raises Refusal(INVALID) if it is neither, or can't be read, or if no UIDL can be made by this format.
    """
    made_by = UidlFormat(uidl)
    try:
        if (path / "cur").is_dir() or (path / "new").is_dir():
            return Maildir(path, made_by, unlisted=unlisted)
        if path.is_file() and made_by.takes_files:
            raise Refusal(Reason.INVALID, f"{path} is an mbox: its messages have no files to make UIDLs of")
        if path.is_file():
            return Mbox(path, made_by.of_numbers, unlisted=unlisted)
    except OSError as error:
        raise Refusal(Reason.INVALID, f"{path}: {error.strerror}") from error
    wrong = "is neither an mbox file nor a Maildir, which has cur and new" if path.exists() else "isn't there"
    raise Refusal(Reason.INVALID, f"{path} {wrong}")


async def import_recipient(directory: Directory, address: str) -> Recipient:
    """The maildrop of exactly this address.

    Raises Refusal: INVALID when it is no address, NO_RECIPIENT when no maildrop but an alias or a catch-all has it,
    SUSPENDED, OVER_QUOTA.
    """
    try:
        parsed = parse_address(address)
    except ValueError as error:
        raise Refusal(Reason.INVALID, str(error)) from error
    recipient = await directory.resolve(parsed)
    if recipient.address != parsed.base:
        raise Refusal(Reason.NO_RECIPIENT, f"{parsed.base} is not itself a maildrop")
    return recipient


class Import:
    """One run into one maildrop."""

    def __init__(self, index: MessageIndex, blobs: BlobStore, clock: Clock, recipient: Recipient) -> None:
        self._index = index
        self._blobs = blobs
        self._clock = clock
        self._recipient = recipient
        self._texts: Counter[bytes] = Counter()
        self._kept: set[str] = set()
        self._taken: set[str] | None = None
        """What the maildrop's messages had before this run: asked for once, and only where an archive tells any."""

    async def run(self, archive: Archive) -> AsyncIterator[Imported]:
        """Import everything, telling of each message once it is durable and listed, or refused.

        Raises Refusal(UNAVAILABLE) when a store fails, OSError when the archive can't be read on: what was told of
        stays, and another run goes on from there.
        """
        messages = archive.messages()
        while batch := list(islice(messages, AT_ONCE)):
            prepared = [self._prepare(message) for message in batch]
            readable = [one for one in prepared if isinstance(one, _Prepared)]
            fresh = await self._fresh(readable)
            outcomes = dict(zip((one.unique_id for one in fresh), await self._store(fresh), strict=True))
            kept = {one.unique_id for one in fresh if one.kept is not None}
            for one in prepared:
                yield one if isinstance(one, Imported) else _told(one, outcomes, kept)

    def _prepare(self, message: ArchivedMessage) -> _Prepared | Imported:
        """What is known of a message once it was read through."""
        measure = Measure()
        try:
            for piece in _canonical(message.pieces()):
                measure.feed(piece)
        except OSError as error:
            return Imported(message.name, message.octets, refusal=message.refusal or _unreadable(error))
        blob = measure.blob(blob_key(self._recipient.key.tenant_id, self._clock.now()))
        # One that is refused is counted too, so that equal texts have the same unique-ids once it is taken.
        self._texts[blob.sha256] += 1
        if message.refusal is not None:
            return Imported(message.name, message.octets, refusal=message.refusal)
        unique_id = of_content(self._recipient.key.maildrop_id, blob.sha256, self._texts[blob.sha256])
        return _Prepared(message, unique_id, self._keep(message.unique_id), blob)

    def _keep(self, unique_id: str | None) -> str | None:
        """RFC 1939 §7: a unique-id "uniquely identifies a message"; a repeated one is kept for the first alone."""
        if unique_id is None or unique_id in self._kept:
            return None
        self._kept.add(unique_id)
        return unique_id

    async def _fresh(self, readable: Sequence[_Prepared]) -> Sequence[_Prepared]:
        """Those that the maildrop doesn't have, each to be listed by a unique-id that no other of its messages has."""
        # RFC 1939 §7: "The server should never reuse an unique-id in a given maildrop, for as long as the entity using
        # the unique-id exists."
        known = await self._index.known(self._recipient.key, [one.unique_id for one in readable])
        fresh = [one for one in readable if one.unique_id not in known]
        if self._taken is None and any(one.kept is not None for one in fresh):
            self._taken = await self._index.taken(self._recipient.key)
        return [replace(one, kept=None) if one.kept in (self._taken or ()) else one for one in fresh]

    async def _store(self, fresh: Sequence[_Prepared]) -> Sequence[Refusal | None]:
        stored = await asyncio.gather(*(self._put(one) for one in fresh))
        for refusal in stored:
            if refusal is not None and refusal.reason is Reason.UNAVAILABLE:
                raise refusal
        arrivals = [(self._recipient, self._new(one)) for one, put in zip(fresh, stored, strict=True) if put is None]
        outcomes = iter(await self._index.append(arrivals))
        settled = [refusal or next(outcomes) for refusal in stored]
        await self._blobs.delete([one.blob.key for one, refusal in zip(fresh, settled, strict=True) if refusal])
        return settled

    async def _put(self, one: _Prepared) -> Refusal | None:
        """Store one text, or say why not: UNAVAILABLE, or the file isn't any more what it was."""
        try:
            await self._blobs.put(one.blob.key, _unchanged(one))
        except Refusal as refusal:
            return refusal
        except OSError as error:
            return _unreadable(error)
        return None

    def _new(self, one: _Prepared) -> NewMessage:
        return NewMessage(one.unique_id, one.blob, self._clock.now(), imported_unique_id=one.kept)


def _unreadable(error: OSError) -> Refusal:
    return Refusal(Reason.NOT_FOUND if isinstance(error, FileNotFoundError) else Reason.INVALID, str(error))


def _told(one: _Prepared, outcomes: Mapping[UUID, Refusal | None], kept: Set[UUID]) -> Imported:
    known, refusal = one.unique_id not in outcomes, outcomes.get(one.unique_id)
    with_its_own = one.unique_id in kept and refusal is None
    return Imported(one.message.name, one.message.octets, known, with_its_own, refusal)


def _canonical(pieces: Iterable[bytes]) -> Iterator[bytes]:
    ends = LineEnds()
    for piece in pieces:
        yield ends.feed(piece)
    yield ends.finish()


async def _unchanged(one: _Prepared) -> AsyncIterator[bytes]:
    """The text again. Raises OSError if it isn't what was read before, so that nothing is stored."""
    measure = Measure()
    for piece in _canonical(one.message.pieces()):
        measure.feed(piece)
        yield piece
    if measure.blob(one.blob.key) != one.blob:
        raise OSError(f"{one.message.name} changed while it was read")
