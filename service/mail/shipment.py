"""One text on its way into the store of blobs, once for each tenant, at the same time.

Owns the copies and their common measure: every copy gets the same octets, as they arrive, through a bounded
pipe. A copy that fails or stalls is given up alone; the others go on. Refuses to know recipients and rows.
"""

import asyncio
import re
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import copy_context
from datetime import datetime
from secrets import token_hex
from typing import Any, TypeVar
from uuid import UUID

from service.mail.pipe import Pipe
from service.mail.ports import BlobStore
from service.model.message import Blob
from service.model.refusal import Reason, Refusal
from service.model.text import LineEnds, Measure

LONG_OCTETS = 256 * 1024
"""A text that comes to this is read by the store while it still comes; a shorter one is put once it is whole."""
Result = TypeVar("Result")
_FOLDER = re.compile(r"[0-9a-f]{32}")
_KEY = re.compile(r"[0-9a-f]{32}/[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9a-f]{32}")


def blob_key(tenant_id: UUID, moment: datetime) -> str:
    """A new key: by tenant and day, so that the sweep finds what no row names without looking at everything."""
    return f"{tenant_id.hex}/{moment:%Y/%m/%d}/{token_hex(16)}"


def is_blob_key(key: str) -> bool:
    """Whether `blob_key` may have made it; in a bucket that others use too, what has another key is theirs."""
    return _KEY.fullmatch(key) is not None


def tenant_of(folder: str) -> UUID | None:
    """Whose blobs have keys that begin with this word; None for a word that `blob_key` never begins with."""
    return UUID(folder) if _FOLDER.fullmatch(folder) else None


class Copy:
    """One blob being written. Its octets are durable once `settled` returned without a Refusal."""

    def __init__(self, blobs: BlobStore, key: str, bound: int) -> None:
        self.key = key
        self.pipe = Pipe(bound)
        self._blobs = blobs
        self._stalled = False
        self._context = copy_context()
        self._task: asyncio.Task[None] | None = None

    def pass_on(self, octets: bytes) -> None:
        """Take the next octets."""
        self.pipe.write(octets)
        if self._task is None and (self.pipe.full or self.pipe.held >= LONG_OCTETS):
            self._begun()

    async def room(self, seconds: float) -> None:
        """Wait for room; a store that gives none in `seconds` is given up."""
        try:
            async with asyncio.timeout(seconds):
                await self.pipe.room()
        except TimeoutError:
            self._give_up()

    async def settled(self, seconds: float) -> Refusal | None:
        """What became of the blob, within `seconds`."""
        task = self._begun()
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            self._give_up()
            await asyncio.wait({task}, timeout=seconds)
        if self._stalled or not task.done() or task.cancelled():
            return self._too_late()
        return self._outcome(task.exception())

    async def settled_alone(self, seconds: float) -> Refusal | None:
        """The same of a text's only copy: if nothing of it was put while it came, that needs no task of its own."""
        if self._task is not None:
            return await self.settled(seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._blobs.put(self.key, self.pipe.chunks())
        except TimeoutError:
            return self._too_late()
        except Exception as error:  # whatever it is, the sender comes again
            return self._outcome(error)
        finally:
            self.pipe.close()
        return None

    def _outcome(self, error: BaseException | None) -> Refusal | None:
        """What the end of a put means; a defect is told to the event loop's handler, and refuses for now (G14)."""
        if error is None or isinstance(error, Refusal):
            return error
        if not self.pipe.broken_off:
            what = {"message": f"the put of {self.key} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)
        return Refusal(Reason.UNAVAILABLE, f"{self.key}: {type(error).__name__}")

    def _too_late(self) -> Refusal:
        return Refusal(Reason.UNAVAILABLE, f"{self.key}: the store took too long")

    async def abandon(self, seconds: float) -> None:
        """Leave nothing: what the put reads breaks off, so it stores nothing."""
        self.pipe.break_off()
        if self._task is not None:
            await self.settled(seconds)

    def _begun(self) -> "asyncio.Task[None]":
        if self._task is None:
            put = self._blobs.put(self.key, self.pipe.chunks())
            self._task = asyncio.get_running_loop().create_task(put, context=self._context)
            self._task.add_done_callback(lambda _task: self.pipe.close())
        return self._task

    def _give_up(self) -> None:
        self._stalled = True
        self.pipe.close()
        self._begun().cancel()


class Shipment:
    """A text and its copies, by tenant. It must come to `arrived` or `abandon`."""

    def __init__(self, blobs: BlobStore, keys: Mapping[UUID, str], bound: int, seconds: float) -> None:
        self._copies = {tenant: Copy(blobs, key, bound) for tenant, key in keys.items()}
        self._seconds = seconds
        self._ends = LineEnds()
        self._measure = Measure()

    def head(self, lines: bytes) -> None:
        """Begin with these whole lines."""
        self._pass_on(lines)

    def offer(self, text: bytes) -> bool:
        """Take the next octets of the text; whether there is room for more at once."""
        self._pass_on(self._ends.feed(text))
        return not any(copy.pipe.full for copy in self._copies.values())

    async def room(self) -> None:
        """Wait until every copy has room or is given up."""
        await asyncio.gather(*(copy.room(self._seconds) for copy in self._copies.values()))

    async def arrived(self) -> Mapping[UUID, Blob | Refusal]:
        """The text is whole: by tenant the blob, durable, or why there is none."""
        self._pass_on(self._ends.finish())
        copies = self._copies.values()
        for copy in copies:
            copy.pipe.finish()
        settled = [copy.settled if len(copies) > 1 else copy.settled_alone for copy in copies]
        outcomes = await all_of([each(self._seconds) for each in settled])
        return {
            tenant: refusal or self._measure.blob(copy.key)
            for (tenant, copy), refusal in zip(self._copies.items(), outcomes, strict=True)
        }

    async def abandon(self) -> None:
        """Leave no blob behind."""
        await all_of([copy.abandon(self._seconds) for copy in self._copies.values()])

    def _pass_on(self, octets: bytes) -> None:
        self._measure.feed(octets)
        for copy in self._copies.values():
            copy.pass_on(octets)


async def all_of(work: Sequence[Coroutine[Any, Any, Result]]) -> Sequence[Result]:
    """What each comes to, all at the same time; a single one, as nearly always, without a task of its own."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)
