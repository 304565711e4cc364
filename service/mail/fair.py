"""Hashing and reading of blobs behind fair turns: a call waits for the turn of whose work it is.

Owns where a turn begins and ends. Refuses to change any outcome, but for a refusal where a tenant queued its share.
What is read ahead takes only what is free, so that nothing a client waits for stands behind it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from service.mail.doubts import Doubts
from service.mail.patience import Flow, Patience
from service.mail.ports import BlobStore, PasswordHashes, StoredBlob
from service.mail.turns import Turns, Whose
from service.mail.whose import WHOSE
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class Guesses:
    """Turns for classes whose passwords are mostly wrong: fewer than there are threads, where there are several.

    Computing takes a core for 10 to 20 ms at a time, however much its thread stands back. On all cores at once it has
    whoever else wakes up wait for a moment, at each step of a session anew.
    """

    turns: Turns
    doubts: Doubts = field(default_factory=Doubts)

    def turn(self, whose: Whose) -> AbstractAsyncContextManager[None]:
        """One turn of a doubted class; nothing to wait for, of any other."""
        return self.turns.turn(whose) if whose in self.doubts else nullcontext()


@dataclass(frozen=True, slots=True)
class FairHashes:
    """Implements `ports.PasswordHashes`; the bounded queue is here, by class."""

    hashes: PasswordHashes
    turns: Turns
    guesses: Guesses | None = None

    async def verify(self, verifier: str | None, password: str) -> bool:
        """As the port says, in turn. Raises Refusal(OVERLOADED), too, where this class has its share of the queue."""
        whose, guesses = WHOSE.get(), self.guesses
        if guesses is None:
            return await self._verified(whose, verifier, password)
        async with guesses.turn(whose):
            right = await self._verified(whose, verifier, password)
        guesses.doubts.heard(whose, right=right)
        return right

    async def _verified(self, whose: Whose, verifier: str | None, password: str) -> bool:
        async with self.turns.turn(whose):
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
