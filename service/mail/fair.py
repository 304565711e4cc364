"""Hashing and reading of blobs behind fair turns: a call waits for the turn of whose work it is.

Owns where a turn begins and ends. Refuses to change any outcome, but for a refusal where a tenant queued its share.
What is read ahead takes only what is free, so that nothing a client waits for stands behind it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from service.mail.patience import Flow, Patience
from service.mail.ports import BlobStore, PasswordHashes, StoredBlob
from service.mail.turns import Turns, Whose
from service.mail.whose import WHOSE
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class FairHashes:
    """Implements `ports.PasswordHashes`; the bounded queue is here, by class."""

    hashes: PasswordHashes
    turns: Turns

    async def verify(self, verifier: str | None, password: str) -> bool:
        """As the port says, in turn. Raises Refusal(OVERLOADED), too, where this class has its share of the queue."""
        async with self.turns.turn(WHOSE.get()):
            return await self.hashes.verify(verifier, password)

    async def hash(self, password: str) -> str:
        """As the port says, in turn. Raises Refusal(OVERLOADED), too, where this class has its share of the queue."""
        async with self.turns.turn(WHOSE.get()):
            return await self.hashes.hash(password)

    def current(self, verifier: str) -> bool:
        """As the port says."""
        return self.hashes.current(verifier)

    def adopt(self, verifier: str) -> str:
        """As the port says."""
        return self.hashes.adopt(verifier)


@dataclass(frozen=True, slots=True)
class FairBlobs:
    """Implements `ports.BlobStore` for those who read; each piece of a stream is a turn of its own."""

    blobs: BlobStore
    turns: Turns
    flow: Flow = field(default_factory=Flow)

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """As the port says, in turn. Raises Refusal(OVERLOADED), too, where this class has its share of the queue."""
        async with self._turn(WHOSE.get(), patience):
            return await self.blobs.read(key, start, end, patience)

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As the port says, piece by piece in turn: a client that reads slowly keeps no turn from others."""
        whose = WHOSE.get()
        async with aclosing(self.blobs.stream(key, start, end, patience)) as pieces:
            while True:
                async with self._turn(whose, patience):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield piece

    @asynccontextmanager
    async def _turn(self, whose: Whose, patience: Patience | None) -> AsyncIterator[None]:
        if patience is not None:
            patience.line_up(self.flow)
        async with self.turns.turn(whose):
            if patience is not None:
                patience.go_on()
            yield
        self.flow.hear()

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """As the port says."""
        await self.blobs.put(key, chunks)

    async def delete(self, keys: Sequence[str]) -> None:
        """As the port says."""
        await self.blobs.delete(keys)

    def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """As the port says."""
        return self.blobs.scan(prefix, after)


@dataclass(frozen=True, slots=True)
class SpareBlobs(FairBlobs):
    """The same for what no client waits for yet: read only while half of all turns would stay free."""

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """As the port says. Raises Refusal(OVERLOADED), too, at once, where there is no turn to spare."""
        whose = WHOSE.get()
        if not self.turns.try_take(whose, leaving=int(self.turns.bounds.amount // 2)):
            raise Refusal(Reason.OVERLOADED, f"{self.turns.resource}: no turn to spare")
        try:
            octets = await self.blobs.read(key, start, end, patience)
        finally:
            self.turns.give_back(whose)
        self.flow.hear()
        return octets
