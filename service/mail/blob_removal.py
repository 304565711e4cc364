"""Deleting blobs for good, of which the store may keep some: a legal hold, a retention of the bucket.

Owns that one blob which stays keeps no other from going, and that a store which is away is not asked for long. Refuses
to know which blobs are to go.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from service.mail.ports import BlobStore, Clock
from service.model.refusal import Refusal

TRYING_SECONDS = 60.0
"""For how long deletions may fail, and blobs of refused batches be tried by themselves, in one sweep."""
MOST_TOLD = 20

Kept = Callable[[str, Refusal], None]
"""Told a blob's key, and why it can't be deleted."""


class BlobRemoval:
    """The deletions of one sweep; `told` hears of the first blobs that stay."""

    def __init__(self, blobs: BlobStore, clock: Clock, told: Kept) -> None:
        self._blobs = blobs
        self._clock = clock
        self._tell = told
        self._left = TRYING_SECONDS
        self._stayed = 0
        self.failures: list[Refusal] = []
        """Why the sweep didn't do all it should, in order."""

    async def __call__(self, keys: Sequence[str]) -> AbstractSet[str]:
        """Those of `keys` that went. Raises Refusal(UNAVAILABLE) once it failed for so long."""
        began = self._clock.monotonic()
        try:
            await self._blobs.delete(keys)
        except Refusal as refusal:
            self._left -= self._clock.monotonic() - began
            if self._left <= 0:
                raise
            if len(keys) > 1:
                return await self._one_by_one(keys)
            self._stays(keys[0], refusal)
            return set()
        return set(keys)

    async def _one_by_one(self, keys: Sequence[str]) -> AbstractSet[str]:
        gone: set[str] = set()
        began = self._clock.monotonic()
        for key in keys:
            try:
                await self._blobs.delete([key])
            except Refusal as refusal:
                self._stays(key, refusal)
            else:
                gone.add(key)
            if self._clock.monotonic() - began > self._left:
                break
        self._left -= self._clock.monotonic() - began
        return gone

    def _stays(self, key: str, refusal: Refusal) -> None:
        self.failures.append(refusal)
        self._stayed += 1
        if self._stayed <= MOST_TOLD:
            self._tell(key, refusal)
