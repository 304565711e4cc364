"""Blobs in any store that obstore speaks to.

Owns how a blob is written whole or not at all, read by ranges that fit into what exists, listed in key order and
deleted. Every request has a deadline. Refuses to keep anything in memory beyond a part.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from obstore import get_range_async
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from service.mail.patience import Patience
from service.mail.ports import StoredBlob
from service.model.refusal import Reason, Refusal
from service.stores.objects.begun import Begun
from service.stores.objects.errors import answered, kind_of, only_the_blob_is_missing, words_for
from service.stores.objects.keys import checked, folder_of, is_key, probe_key
from service.stores.objects.twice import Due, Twice
from service.stores.objects.uploads import PART, Upload, gather
from service.stores.observing import Calls, Observed, Observer
from service.telemetry.spans import Span

if TYPE_CHECKING:
    from obstore import GetResult, ListStream, ObjectMeta

T = TypeVar("T")
PIECE = 1 << 20
PAGE = 1000
CHUNK = 1 << 16
"""Octets of a response after which whoever waits for all of it hears that they came."""


class ObjectBlobStore:
    """Implements `mail.ports.BlobStore`; a step that takes longer than `deadline` seconds is refused as UNAVAILABLE.

    A read for a client is asked for once more, beside, where nothing of it came after `again_after` seconds.
    """

    def __init__(self, store: ObjectStore, *, deadline: float, again_after: float, observer: Observer) -> None:
        self._store = store
        self._deadline = deadline
        self._observer = observer
        self._calls = Calls("objects", observer, kind_of, words_for)
        self._silent: Due[Twice[Any]] = Due(again_after, Twice.again)
        self._overdue: Due[Begun] = Due(deadline, Begun.give_up)

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store the concatenation of `chunks`, whose own exceptions pass through and leave nothing behind.

        Raises Refusal(UNAVAILABLE). Should only the store's answer be lost, a blob may appear that no row names;
        the sweep finds it.
        """
        first, more = await gather(chunks, PART)
        if more:
            await self._put_in_parts(checked(key), first, chunks)
            return
        octets = b"".join(first)
        async with self._step("put") as span:
            span.note(octets=len(octets))
            await self._put_whole(checked(key), octets)

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """The octets from `start` up to, not including, `end`, in one request.

        Fewer only if the blob is shorter. Raises Refusal: BROKEN if there is no such blob, UNAVAILABLE.
        """
        asked = time.monotonic()
        octets = await self._read(key, start, end, patience)
        self._observer.blob_read(time.monotonic() - asked)
        return octets

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The same octets in pieces of at most 1 MiB, each asked for when the one before was consumed.

        A request for each piece: a slow client then holds no connection to the store and misses no deadline of it.
        """
        spent = 0.0
        for begin in range(start, end, PIECE):
            asked = time.monotonic()
            stop = min(begin + PIECE, end)
            piece = await self._read(key, begin, stop, patience)
            spent += time.monotonic() - asked
            if piece:
                yield piece
            if len(piece) < stop - begin:
                break
        self._observer.blob_read(spent)

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """As `mail.begun.BegunBlobs` says, for no more octets than come as one. Raises Refusal(BROKEN) for no key."""
        if not 0 < octets <= CHUNK:
            return None
        call = self._calls.observed("get")
        reading = self._asked(partial(get_range_async, self._store, checked(key), start=0, end=octets))
        begun = Begun(reading, call, self._ended)
        self._overdue.watch(begun)
        return begun

    def at_hand(self, key: str, octets: int) -> bytes | None:
        """Nothing: what has to be asked for over a network has to be waited for."""
        return None

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these blobs; one that is gone already is no error. Raises Refusal(UNAVAILABLE)."""
        for begin in range(0, len(keys), PAGE):
            async with self._step("delete"):
                await self._delete([checked(key) for key in keys[begin : begin + PAGE]])

    async def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """The blobs whose key starts with `prefix` and sorts after `after`, in key order."""
        pages = self._store.list(folder_of(prefix) or None, offset=after or None, chunk_size=PAGE)
        while page := await self._page(pages):
            for meta in page:
                key = meta["path"]
                if key.startswith(prefix) and key > after and is_key(key):
                    yield StoredBlob(key, meta["size"], meta["last_modified"])

    async def ping(self) -> None:
        """Write, read and delete a small blob. Raises Refusal(UNAVAILABLE) or, if it can't be read back, BROKEN."""
        key, proof = probe_key(), secrets.token_bytes(32)
        try:
            await self.put(key, _once(proof))
            if await self.read(key, 0, len(proof)) != proof:
                raise Refusal(Reason.BROKEN, "objects: what was written is not what was read")
        finally:
            await self.delete([key])

    async def _put_whole(self, key: str, octets: bytes) -> None:
        await self._store.put_async(key, octets, use_multipart=False)

    async def _put_in_parts(self, key: str, first: Sequence[bytes], rest: AsyncIterator[bytes]) -> None:
        upload = Upload(self._store, key, self._deadline)
        try:
            pieces, more = first, True
            while pieces:
                piece = b"".join(pieces)
                with self._calls.observed("put part") as span:
                    span.note(octets=len(piece))
                    await upload.write(piece)
                pieces, more = await gather(rest, PIECE) if more else ((), False)
            with self._calls.observed("put end"):
                await upload.finish()
        except BaseException:
            await upload.abandon()
            raise

    async def _read(self, key: str, start: int, end: int, patience: Patience | None) -> bytes:
        call = self._calls.observed("get")
        with call as span:
            try:
                async with asyncio.timeout(self._deadline):
                    octets = await self._range(checked(key), start, max(start, end), patience, call)
            except FileNotFoundError as error:
                if not only_the_blob_is_missing(error):
                    raise
                raise Refusal(Reason.BROKEN, f"objects: no such blob: {key}") from error
            except asyncio.CancelledError:
                # It is ended from outside, before the deadline: a store that hangs would be counted nowhere.
                if patience is not None and patience.over:
                    call.failed("timeout")
                raise
            span.note(octets=len(octets))
        return octets

    async def _range(self, key: str, start: int, end: int, patience: Patience | None, call: Observed) -> bytes:
        """What exists of the range. Raises FileNotFoundError or obstore's errors."""
        asked = time.monotonic()
        # No store answers a range of nothing, and only a GET says what exactly is missing: ask for one octet.
        at_least = max(end, start + 1)
        try:
            if at_least - start <= CHUNK:
                # One wake-up of the event loop by obstore's threads instead of two.
                ask = partial(get_range_async, self._store, key, start=start, end=at_least)
                octets = bytes(await self._first(ask, patience, call))
                self._observer.blob_first_octets(time.monotonic() - asked)
                return octets[: end - start]
            get = partial(self._store.get_async, key, options={"range": (start, at_least)})
            found = await self._first(get, patience, call)
            self._observer.blob_first_octets(time.monotonic() - asked)
            if patience is None:
                return bytes(await found.bytes_async())[: end - start]
            return (await _gathered(found, patience))[: end - start]
        except BaseError as error:
            if answered(error):
                raise
            # Stores refuse a range that begins after the end; there is nothing of it, which is an answer too.
            if (await self._store.head_async(key))["size"] > start:
                raise
            return b""

    async def _first(self, ask: Callable[[], Awaitable[T]], patience: Patience | None, call: Observed) -> T:
        """What the store answers; a request that was lost counts as failed. Raises as `ask` does."""
        if patience is None:
            return await ask()
        asked = self._asked(ask)
        answer = await asked
        if asked.overtaken:
            call.failed("timeout")
        return answer

    def _asked(self, ask: Callable[[], Awaitable[T]]) -> Twice[T]:
        asked = Twice(ask)
        self._silent.watch(asked)
        asked.add_done_callback(self._silent.forget)
        return asked

    def _ended(self, begun: Begun, seconds: float) -> None:
        self._overdue.forget(begun)
        if not begun.cancelled() and begun.exception() is None:
            self._observer.blob_first_octets(seconds)
            self._observer.blob_read(seconds)

    async def _delete(self, keys: Sequence[str]) -> None:
        try:
            await self._store.delete_async(keys)
        except FileNotFoundError as error:
            if not only_the_blob_is_missing(error):
                raise
            # The vendors that mind a missing blob take one request for each anyway.
            for key in keys:
                await self._delete_one(key)

    async def _delete_one(self, key: str) -> None:
        try:
            await self._store.delete_async(key)
        except FileNotFoundError as error:
            if not only_the_blob_is_missing(error):
                raise

    async def _page(self, pages: "ListStream[Sequence[ObjectMeta]]") -> "Sequence[ObjectMeta]":
        async with self._step("list"):
            try:
                # anext() with a default does not get along with obstore's awaitables.
                return await pages.__anext__()
            except StopAsyncIteration:
                return ()

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[Span]:
        with self._calls.observed(name) as span:
            async with asyncio.timeout(self._deadline):
                yield span


async def _gathered(found: "GetResult", patience: Patience) -> bytes:
    """All of a response, told of as it comes: a slow one isn't one that doesn't come."""
    patience.came()
    chunks = []
    async for chunk in found.stream(min_chunk_size=CHUNK):
        patience.came()
        chunks.append(chunk)
    return b"".join(chunks)


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
