"""Retrieval: a listed message's octets, whole and proven, or a refusal.

Owns what is verified before what is sent. A message up to 1 MiB is fetched and verified first; a
larger one streams, and its last part is held back until the digest matches (G8). A store that fails
in the middle is asked again by range; one that gives nothing at first is given up while the client
still waits for a status. Refuses to know sockets: pieces are given one at a time, and the next is
fetched when the caller wants it.
RFC 1939 §5 RETR, §7 TOP.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from service.mail.budget import Budget
from service.mail.patience import Patience
from service.mail.ports import BlobStore, NearBlobs
from service.mail.whose import WHOSE
from service.model.account import MaildropKey
from service.model.message import Blob, StoredMessage
from service.model.refusal import Reason, Refusal

WHOLE_OCTETS = 1024 * 1024
"""A message up to this many octets is read by one request and verified before its first octet is sent."""
AT_HAND_OCTETS = 64 * 1024
"""A message up to this many octets is short enough to be read and verified in a turn of the event loop."""
HELD_OCTETS = 8 * 1024 * 1024
"""A message up to this many octets may be read and verified as a whole where the store is quick and there is memory."""
SOON = 0.4
"""Seconds for such a read; then the message is streamed, which comes to a status within `patience` more."""
DIGEST_SLICE = 256 * 1024
"""Octets whose digest is computed in one go: less than a millisecond's work."""
LOCATED_AHEAD = 80
"""Messages whose places are asked for in one round trip."""
LEAST_LOCATED = 16
"""For fewer, places are asked for only when they are needed."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """How often a failed read is repeated, and how many seconds to wait before each repetition."""

    tries: int = 3
    pause: float = 0.2
    patience: float = 4.5
    """Seconds for which a store may give nothing, all repetitions included, until who waits for a status is refused."""
    resumed: Callable[[], None] = lambda: None
    """Told of each repetition."""


class Located(Protocol):
    """Whatever knows where messages are: the index, or what was kept of it."""

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """As `MessageIndex.locate`."""


@dataclass(slots=True)
class Places:
    """Where the messages of one maildrop are, asked for some at a time and remembered while they are near."""

    index: Located
    key: MaildropKey
    _known: dict[int, StoredMessage] = field(default_factory=dict)
    _asking: "asyncio.Task[Refusal | None] | None" = None

    async def of(self, sequence: int, upcoming: Sequence[int] = ()) -> StoredMessage:
        """Where the message is. Raises Refusal: BROKEN when its row is gone, UNAVAILABLE.

        What fails while it is waited for isn't asked all over again: that would double what the client waits.
        """
        asking = self._asking
        if sequence not in self._known and asking is not None and not asking.done():
            await asyncio.wait({asking})
            if (refusal := asking.result()) is not None:
                raise refusal
        if sequence not in self._known:
            wanted = (sequence, *upcoming[: LOCATED_AHEAD - 1])
            self._known = dict(await self.index.locate(self.key, wanted))
        message = self._known.get(sequence)
        if message is None:
            raise Refusal(Reason.BROKEN, f"message {sequence} has no row")
        return message

    def known(self, sequence: int) -> StoredMessage | None:
        """Where the message is, if that was asked for already."""
        return self._known.get(sequence)

    def ask_ahead(self, upcoming: Sequence[int]) -> None:
        """Begin to ask where these are, once there are some not known, so that nobody who reads on waits for it."""
        few = upcoming[-LEAST_LOCATED:]
        if (self._asking is None or self._asking.done()) and few and few[0] not in self._known:
            wanted = [sequence for sequence in upcoming if sequence not in self._known][:LOCATED_AHEAD]
            if len(wanted) >= LEAST_LOCATED:
                self._asking = asyncio.get_running_loop().create_task(self._learn(wanted, frozenset(upcoming)))

    async def _learn(self, wanted: Sequence[int], near: Set[int]) -> Refusal | None:
        try:
            found = await self.index.locate(self.key, wanted)
        except Refusal as refusal:
            # Who waits is told; whoever comes to need them later asks anew.
            return refusal
        self._known = {sequence: at for sequence, at in self._known.items() if sequence in near} | dict(found)
        return None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The use case over one store of blobs."""

    blobs: BlobStore
    resumption: Resumption = field(default_factory=Resumption)
    near: NearBlobs | None = None
    """The same store, where its blobs are likely to be at hand; what is read there takes no turn, as nobody waits."""
    room: Budget | None = None
    """Where memory for messages up to `HELD_OCTETS` is taken from, half of it at most; None to hold none whole."""

    def at_hand(self, message: StoredMessage) -> bytes | None:
        """All octets of a short message, verified, if that needs no waiting; None otherwise, also for a broken one."""
        blob = message.blob
        octets = self.near.at_hand(blob.key, blob.octets) if self.near and blob.octets <= AT_HAND_OCTETS else None
        if octets is None or hashlib.sha256(octets).digest() != blob.sha256:
            return None
        return message.trace + octets

    async def whole(self, message: StoredMessage) -> bytes:
        """All octets of a message of at most `WHOLE_OCTETS`, verified; trace line included.

        A mismatch is read once more, as what came between may have broken it. Raises Refusal: BROKEN, UNAVAILABLE.
        """
        blob = message.blob
        patience = self._patience()
        async with patience.kept(blob.key):
            for again in range(2):
                octets = await self._read(blob.key, 0, blob.octets, patience)
                if len(octets) == blob.octets and await _digest(octets) == blob.sha256:
                    return message.trace + octets
                if not again:
                    self.resumption.resumed()
        raise Refusal(Reason.BROKEN, f"{blob.key}: octets or digest differ")

    async def pieces(self, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        """The octets of a message however large; the last piece only once the digest of all matched.

        What comes in one piece, all of it, is verified.
        Raises Refusal: before the first piece nothing was given; after it the response must be cut.
        """
        if message.blob.octets <= WHOLE_OCTETS:
            yield await self.whole(message)
            return
        async with self._held(message) as octets:
            if octets is not None:
                yield octets
                return
        held = message.trace
        digest = hashlib.sha256()
        async with aclosing(self._begun(message.blob, message.blob.octets)) as stored:
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
        try:
            yield await self._soon(message)
        finally:
            room.give_back(octets, whose)

    async def _soon(self, message: StoredMessage) -> bytes | None:
        """All octets, verified; None where they don't come soon or aren't right: streaming tries again, and tells."""
        blob = message.blob
        try:
            async with asyncio.timeout(SOON):
                octets = await self.blobs.read(blob.key, 0, blob.octets)
        except (Refusal, TimeoutError):
            return None
        digest = await asyncio.get_running_loop().run_in_executor(None, hashlib.sha256, octets)
        right = len(octets) == blob.octets and digest.digest() == blob.sha256
        return (message.trace + octets if message.trace else octets) if right else None

    async def header(self, message: StoredMessage) -> AsyncGenerator[bytes, None]:
        """The octets that TOP n 0 needs: only the header, read by range."""
        blob = message.blob
        if blob.header_octets <= WHOLE_OCTETS:
            patience = self._patience()
            async with patience.kept(blob.key):
                octets = await self._read(blob.key, 0, blob.header_octets, patience)
            if len(octets) != blob.header_octets:
                raise Refusal(Reason.BROKEN, f"{blob.key}: shorter than its header")
            yield message.trace + octets
            return
        held = message.trace
        async with aclosing(self._begun(blob, blob.header_octets)) as stored:
            async for piece in stored:
                yield held + piece
                held = b""

    async def _begun(self, blob: Blob, end: int) -> AsyncGenerator[bytes, None]:
        """The octets up to `end`, the first of them in time; a client that has some already is served with patience."""
        patience = self._patience()
        async with aclosing(self._stream(blob, end, patience)) as stored:
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


async def _digest(octets: bytes) -> bytes:
    """SHA-256 of a message in memory; other sessions run between two slices of a large one."""
    if len(octets) <= DIGEST_SLICE:
        return hashlib.sha256(octets).digest()
    digest, view = hashlib.sha256(), memoryview(octets)
    for start in range(0, len(octets), DIGEST_SLICE):
        digest.update(view[start : start + DIGEST_SLICE])
        await asyncio.sleep(0)
    return digest.digest()
