"""Deleting blobs for good, of which the store may keep some: a legal hold, a retention of the bucket.

Owns that blobs which stay keep no others from going, however many they are, and that a store which is away is not asked
for long. What is refused at once costs the others no time; of a tenant's part of a batch that seems to stay as a whole
the rest waits for the next sweep, which tries others of it. Refuses to know which blobs are to go.
"""

import secrets
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby

from service.mail.ports import BlobStore, Clock
from service.model.refusal import Refusal

SLOW = 1.0
"""Seconds: a refusal that comes later says of the store that it is ill, and not of a blob that it is kept."""
SLOW_SECONDS = 60.0
"""How long slow refusals may take in one sweep, all together."""
REFUSED_SECONDS = 600.0
"""How long refusals, quick ones too, may take with no blob going between them."""
IN_A_ROW = 50
"""So many blobs of a tenant's part of a batch are tried by themselves with none going; then the rest waits."""
MOST_TOLD = 20

Kept = Callable[[str, Refusal], None]
"""Told a blob's key, and why it can't be deleted."""


class BlobRemoval:
    """The deletions of one sweep; `told` hears of the first blobs that stay."""

    def __init__(self, blobs: BlobStore, clock: Clock, told: Kept) -> None:
        self._blobs = blobs
        self._clock = clock
        self._tell = told
        self._slow = 0.0
        self._refused = 0.0
        self._stayed = 0
        self.failures: list[Refusal] = []
        """Why the sweep didn't do all it should, in order."""

    async def __call__(self, keys: Sequence[str]) -> AbstractSet[str]:
        """Those of `keys` that went. Raises Refusal(UNAVAILABLE) once deletions failed for too long."""
        refusal = await self._delete(keys)
        if refusal is None:
            return set(keys)
        if self._over():
            raise refusal
        gone = await self._by_parts(_by_tenant(keys), refusal)
        if len(gone) < len(keys):
            self.failures.append(refusal)
        return gone

    async def _by_parts(self, parts: Sequence[Sequence[str]], refusal: Refusal) -> AbstractSet[str]:
        """Those that went of a batch that was refused; a tenant's part that is the whole of it is not asked again."""
        gone: set[str] = set()
        for part in parts:
            stays = refusal if len(parts) == 1 else await self._delete(part)
            gone |= set(part) if stays is None else await self._one_by_one(part, stays)
            if self._over():
                break
        return gone

    async def _one_by_one(self, keys: Sequence[str], refusal: Refusal) -> AbstractSet[str]:
        """Those of one tenant's `keys`, refused together, that went by themselves."""
        if len(keys) == 1:
            self._stays(keys[0], refusal)
            return set()
        gone: set[str] = set()
        in_a_row = 0
        # The next sweep is given the same batch: in the same order it would never come to the rest.
        for key in sorted(keys, key=lambda _: secrets.randbelow(1 << 32)):
            if in_a_row == IN_A_ROW or self._over():
                break
            stays = await self._delete([key])
            if stays is None:
                gone.add(key)
                in_a_row = 0
            else:
                self._stays(key, stays)
                in_a_row += 1
        return gone

    async def _delete(self, keys: Sequence[str]) -> Refusal | None:
        """Why the store didn't delete `keys`, or not all of them."""
        began = self._clock.monotonic()
        try:
            await self._blobs.delete(keys)
        except Refusal as refusal:
            seconds = self._clock.monotonic() - began
            self._refused += seconds
            if seconds > SLOW:
                self._slow += seconds
            return refusal
        self._refused = 0.0
        return None

    def _over(self) -> bool:
        """Whether the store is to be asked no more."""
        return self._slow >= SLOW_SECONDS or self._refused >= REFUSED_SECONDS

    def _stays(self, key: str, refusal: Refusal) -> None:
        self._stayed += 1
        if self._stayed <= MOST_TOLD:
            self._tell(key, refusal)


def _by_tenant(keys: Sequence[str]) -> list[list[str]]:
    return [list(part) for _, part in groupby(sorted(keys), lambda key: key.partition("/")[0])]
