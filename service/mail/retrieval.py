"""Retrieval: a listed message's octets, whole and proven, or a refusal.

Owns what is verified before what is sent (G8): a message up to 1 MiB as a whole, a larger one part by part, by the
digests of its beginnings. One that is stored without them streams, and its last part is held back until the digest of
all matches. A read that fails is repeated; a store that gives nothing at first is given up while the client still waits
for a status. Refuses to know sockets: pieces are given one at a time, and the next is fetched when it is wanted.
RFC 1939 §5 RETR, §7 TOP.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from service.mail.begun import BegunBlobs
from service.mail.budget import Budget
from service.mail.patience import Patience
from service.mail.ports import BlobStore, NearBlobs
from service.mail.whose import WHOSE
from service.model.beginnings import PART_OCTETS, Beginning
from service.model.message import Blob, StoredMessage
from service.model.refusal import Reason, Refusal
from service.model.text import Measure

if TYPE_CHECKING:
    from hashlib import _Hash

WHOLE_OCTETS = PART_OCTETS
"""A message up to this many octets is read by one request and verified before its first octet is sent."""
AT_HAND_OCTETS = 64 * 1024
"""A message up to this many octets is short enough to be read and verified in a turn of the event loop."""
HELD_OCTETS = 8 * 1024 * 1024
"""A message up to this many octets may be read and verified as a whole where the store is quick and there is memory."""
SOON = 0.4
"""Seconds for such a read; then the message is streamed, which comes to a status within `patience` more."""
SHORT = 0.01
"""Seconds of waiting that are none."""
AT_LEAST = 1.0
"""Seconds that the store has to give something however long was waited for Postgres, as it may serve all the same."""
DIGEST_SLICE = 256 * 1024
"""Octets whose digest is computed in one go: less than a millisecond's work."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """How often a failed read is repeated, and how many seconds to wait before each repetition."""

    tries: int = 3
    pause: float = 0.2
    patience: float = 4.5
    """Seconds for which a store may give nothing, all repetitions included, until who waits for a status is refused."""
    resumed: Callable[[], None] = lambda: None
    """Told of each repetition."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The use case over one store of blobs."""

    blobs: BlobStore
    resumption: Resumption = field(default_factory=Resumption)
    near: NearBlobs | None = None
    """The same store, where its blobs are likely to be at hand; what is read there takes no turn, as nobody waits."""
    begun: BegunBlobs | None = None
    """The same store, where short messages can be asked for without a task."""
    room: Budget | None = None
    """Where memory for messages up to `HELD_OCTETS` is taken from, half of it at most; None to hold none whole."""

    def after(self, waited: float) -> "Retrieval":
        """The same for a client that has waited for so many seconds: its store has so many less to give something."""
        if waited < SHORT:
            return self
        patience = self.resumption.patience
        left = max(min(AT_LEAST, patience), patience - waited)
        return replace(self, resumption=replace(self.resumption, patience=left))

    def at_hand(self, message: StoredMessage) -> bytes | None:
        """All octets of a short message, verified, if that needs no waiting; None otherwise, also for a broken one."""
        blob = message.blob
        octets = self.near.at_hand(blob.key, blob.octets) if self.near and blob.octets <= AT_HAND_OCTETS else None
        return None if octets is None else self.proven(message, octets)

    def begin(self, message: StoredMessage) -> "asyncio.Future[bytes] | None":
        """A short message's octets once they come, not verified; None where that needs `whole`. Raises Refusal."""
        blob = message.blob
        return self.begun.begin(blob.key, blob.octets) if self.begun and blob.octets <= AT_HAND_OCTETS else None

    def proven(self, message: StoredMessage, octets: bytes) -> bytes | None:
        """All octets of a short message whose blob's `octets` these are; None if they are others."""
        if hashlib.sha256(octets).digest() != message.blob.sha256:
            return None
        return message.trace + octets

    async def whole(self, message: StoredMessage) -> bytes:
        """All octets of a message of at most `WHOLE_OCTETS`, verified; trace line included.

        A mismatch is read once more, as what came between may have broken it. Raises Refusal: BROKEN, UNAVAILABLE.
        """
        blob = message.blob
        octets, _ = await self._first(blob.key, Beginning(blob.octets, blob.sha256))
        return message.trace + octets

    async def pieces(self, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        """The octets of a message however large, each piece verified; where it can't be, the last one after the digest.

        What comes in one piece, all of it, is verified.
        Raises Refusal: before the first piece nothing was given; after it the response must be cut.
        """
        blob = message.blob
        if blob.octets <= WHOLE_OCTETS:
            yield await self.whole(message)
            return
        async with self._held(message) as octets:
            if octets is not None:
                yield octets
                return
        proofs = blob.proofs()
        async with aclosing(self._unproven(message) if proofs is None else self._proven(message, proofs)) as pieces:
            async for piece in pieces:
                yield piece

    async def top(self, message: StoredMessage, lines: int) -> AsyncGenerator[bytes, None]:
        """The octets that TOP needs and maybe some more, each piece verified; for no lines only the header is read.

        A blob without digests of its beginnings is read whole before anything of it is given, even where it is large.
        Raises Refusal, as `pieces` does.
        """
        blob = message.blob
        if blob.octets > WHOLE_OCTETS:
            blob = await self._with_beginnings(blob)
        proofs = blob.proofs(header=not lines)
        if proofs is None or (lines and blob.octets <= WHOLE_OCTETS):
            yield await self.whole(message)
            return
        async with aclosing(self._proven(message, proofs)) as pieces:
            async for piece in pieces:
                yield piece

    async def _proven(self, message: StoredMessage, proofs: Sequence[Beginning]) -> AsyncGenerator[bytes, None]:
        """The octets up to the last of `proofs`, each part verified; the first of them in time.

        A client that has some already is served with patience, and what it reads slowly isn't kept here.
        """
        octets, digest = await self._first(message.blob.key, proofs[0])
        yield message.trace + octets if message.trace else octets
        del octets
        for before, end in pairwise(proofs):
            octets, digest = await self._part(message.blob.key, digest, before.octets, end)
            yield octets
            del octets

    async def _first(self, key: str, end: Beginning) -> "tuple[bytes, _Hash]":
        """As `_part`, from the first octet on, while somebody waits for a status."""
        patience = self._patience()
        async with patience.kept(key):
            return await self._part(key, hashlib.sha256(), 0, end, patience)

    async def _part(
        self, key: str, before: "_Hash", start: int, end: Beginning, patience: Patience | None = None
    ) -> "tuple[bytes, _Hash]":
        """The octets from `start` up to `end`, whose digest goes on from the one `before`, and that digest.

        Raises Refusal: BROKEN, UNAVAILABLE.
        """
        for again in range(2):
            octets = await self._read(key, start, end.octets, patience)
            digest = before.copy()
            await _feed(digest, octets)
            if len(octets) == end.octets - start and digest.digest() == end.sha256:
                return octets, digest
            if not again:
                self.resumption.resumed()
        raise Refusal(Reason.BROKEN, f"{key}: octets or digest differ")

    async def _with_beginnings(self, blob: Blob) -> Blob:
        """`blob` with the digests of its beginnings; where it is stored without them all of it is read to know them."""
        if blob.beginnings is not None:
            return blob
        for again in range(2):
            found = await self._measured(blob)
            if found.sha256 == blob.sha256:
                return replace(blob, beginnings=found.beginnings)
            if not again:
                self.resumption.resumed()
        raise Refusal(Reason.BROKEN, f"{blob.key}: digest differs")

    async def _measured(self, blob: Blob) -> Blob:
        """What is stored under its key, all of it read while somebody waits for a status."""
        measure, patience = Measure(), self._patience()
        async with patience.kept(blob.key), aclosing(self._stream(blob, blob.octets, patience)) as stored:
            async for piece in stored:
                measure.feed(piece)
        return measure.blob(blob.key)

    async def _unproven(self, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        """All octets of a message stored without the digests of its beginnings; the last ones once all match."""
        held = message.trace
        digest = hashlib.sha256()
        async with aclosing(self._begun(message.blob)) as stored:
            async for piece in stored:
                digest.update(piece)
                if held:
                    yield held
                held = piece
        if digest.digest() != message.blob.sha256:
            raise Refusal(Reason.BROKEN, f"{message.blob.key}: digest differs")
        yield held

    @asynccontextmanager
    async def _held(self, message: StoredMessage) -> AsyncIterator[bytes | None]:
        """All of a message, verified, where its octets come soon and there is memory for them; else None: stream it."""
        octets, whose = message.octets, WHOSE.get()
        room = self.room if message.blob.octets <= HELD_OCTETS else None
        if room is None or not room.try_take(octets, whose, leaving=int(room.turns.bounds.amount // 2)):
            yield None
            return
        reading = asyncio.get_running_loop().create_task(self._right(message))
        try:
            await asyncio.wait({reading}, timeout=SOON)
            yield reading.result() if reading.done() else None
        finally:
            if reading.done():
                room.give_back(octets, whose)
            else:
                # What comes too late is read in its thread all the same, and holds its octets until then.
                reading.add_done_callback(lambda _: room.give_back(octets, whose))

    async def _right(self, message: StoredMessage) -> bytes | None:
        """All octets, verified; None where they aren't right or can't be had: streaming tries again, and tells."""
        blob = message.blob
        try:
            octets = await self.blobs.read(blob.key, 0, blob.octets)
        except Refusal:
            return None
        digest = await asyncio.get_running_loop().run_in_executor(None, hashlib.sha256, octets)
        right = len(octets) == blob.octets and digest.digest() == blob.sha256
        return (message.trace + octets if message.trace else octets) if right else None

    async def _begun(self, blob: Blob) -> AsyncGenerator[bytes, None]:
        """All octets as they are stored, the first of them in time."""
        patience = self._patience()
        async with aclosing(self._stream(blob, blob.octets, patience)) as stored:
            async with patience.kept(blob.key):
                first = await anext(stored)
            yield first
            # A client that reads slowly need not have it kept.
            del first
            async for piece in stored:
                yield piece

    def _patience(self) -> Patience:
        return Patience(self.resumption.patience)

    async def _read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """One range read, repeated while the store is unavailable."""
        for left in reversed(range(self.resumption.tries)):
            try:
                return await self.blobs.read(key, start, end, patience)
            except Refusal as refusal:
                await self._again(refusal, left)
        raise AssertionError("unreachable: the last failure was raised")

    async def _stream(self, blob: Blob, end: int, patience: Patience | None = None) -> AsyncGenerator[bytes, None]:
        """The octets up to `end`, going on by range where the store failed."""
        position, left = 0, self.resumption.tries
        while position < end:
            failure = Refusal(Reason.UNAVAILABLE, f"{blob.key}: ended before octet {end}")
            try:
                async with aclosing(self.blobs.stream(blob.key, position, end, patience)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        yield piece
            except Refusal as refusal:
                failure = refusal
            if position < end:
                left -= 1
                await self._again(failure, left)

    async def _again(self, refusal: Refusal, left: int) -> None:
        """Wait before another try, or give up with `refusal`."""
        if refusal.reason is not Reason.UNAVAILABLE or left <= 0:
            raise refusal
        self.resumption.resumed()
        await asyncio.sleep(self.resumption.pause)


async def _feed(digest: "_Hash", octets: bytes) -> None:
    """Let a digest go on over what is in memory; other sessions run between two slices of much."""
    if len(octets) <= DIGEST_SLICE:
        digest.update(octets)
        return
    view = memoryview(octets)
    for start in range(0, len(octets), DIGEST_SLICE):
        digest.update(view[start : start + DIGEST_SLICE])
        await asyncio.sleep(0)
