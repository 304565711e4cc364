"""One maildrop with mail in it, over the in-memory stores, and the use cases of a front end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from service.mail.budget import Budget
from service.mail.leases import Leases, OnLost
from service.mail.login import Attempt, Login
from service.mail.maildrop import OpenMaildrop
from service.mail.patience import Patience
from service.mail.ports import BlobStore, PasswordHashes, StoredBlob
from service.mail.prefetch import Limits
from service.mail.renewals import Renewals
from service.mail.retrieval import Resumption, Retrieval
from service.mail.update import Update
from service.mail.verdicts import Verdicts
from service.mail.verification import Verification
from service.model.address import parse_address
from service.model.message import NewMessage
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.model.text import Measure
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import CredentialRow
from service.stores.memory.verifiers import MemoryVerifiers
from tests.mail.provider import Provider, SetClock

ADDRESS, SECRET = "user@example.org", "good pass"


async def pieces(text: bytes) -> AsyncIterator[bytes]:
    yield text


@dataclass
class Interrupted:
    """A store of blobs in front of another, that fails, cuts or corrupts as told."""

    behind: BlobStore
    failures: int = 0
    """How many of the next reads fail before they begin."""
    cut_after: int | None = None
    """A stream fails once after so many octets."""
    corrupt: bool = False
    wrong_at: int | None = None
    """This octet of each blob is another whenever it is read."""
    mended_after: int | None = None
    """So many times more."""
    silent_from: int | None = None
    """Reads from this octet on are never answered."""
    reads: list[tuple[str, int, int]] = field(default_factory=list)

    def _check(self, key: str, start: int, end: int) -> None:
        self.reads.append((key, start, end))
        if self.failures:
            self.failures -= 1
            raise Refusal(Reason.UNAVAILABLE, "told to fail")

    def _given(self, octets: bytes, start: int) -> bytes:
        if self.wrong_at is not None and start <= self.wrong_at < start + len(octets):
            at = self.wrong_at - start
            if self.mended_after is not None:
                self.mended_after -= 1
                self.wrong_at = self.wrong_at if self.mended_after else None
            return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        return octets[:-1] + b"?" if self.corrupt else octets

    async def _fall_silent(self, start: int) -> None:
        if self.silent_from is not None and start >= self.silent_from:
            await asyncio.Event().wait()

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        self._check(key, start, end)
        await self._fall_silent(start)
        octets = await self.behind.read(key, start, end, patience)
        return self._given(octets, start)

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        self._check(key, start, end)
        await self._fall_silent(start)
        given = 0
        async for piece in self.behind.stream(key, start, end, patience):
            yield self._given(piece, start + given)
            given += len(piece)
            if self.cut_after is not None and given >= self.cut_after:
                self.cut_after = None
                raise Refusal(Reason.UNAVAILABLE, "told to cut")

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        await self.behind.put(key, chunks)

    async def delete(self, keys: Sequence[str]) -> None:
        await self.behind.delete(keys)

    def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        return self.behind.scan(prefix, after)


@dataclass
class House:
    """A provider, one account, and everything a front end needs."""

    provider: Provider = field(default_factory=Provider)
    clock: SetClock = field(default_factory=SetClock)
    hashes: PasswordHashes = field(default_factory=MemoryPasswordHashes)

    def __post_init__(self) -> None:
        self.key = self.provider.add(ADDRESS)
        self.locks = MemoryMaildropLocks(self.clock)
        self.index = self.provider.index
        self.leases = Leases(self.locks, self.index)
        self.blobs = Interrupted(self.provider.blobs)
        self.retrieval = Retrieval(self.blobs, Resumption(pause=0))
        self.update = Update(self.index, self.leases)
        self.ahead = Limits(1 << 20, Budget(1 << 22))
        self.verdicts = Verdicts(self.clock)
        self.renewals = Renewals(self.hashes, MemoryVerifiers(self.provider.state))
        verification = Verification(self.hashes, self.verdicts, self.renewals)
        self.login = Login(
            self.provider.directory, verification, self.locks, self.index, self.leases, self.clock, "test:1"
        )

    async def furnish(self, *texts: bytes) -> "House":
        """Give the account its password, and deliver `texts`."""
        verifier = await self.hashes.hash(SECRET)
        self.provider.state.credentials.append(CredentialRow(self.key, uuid4(), verifier))
        for text in texts:
            await self.deliver(text)
        return self

    async def deliver(self, text: bytes) -> None:
        """Store a text and list it."""
        where = f"{self.key.tenant_id.hex}/2025/03/09/{uuid4().hex}"
        await self.provider.blobs.put(where, pieces(text))
        measure = Measure()
        measure.feed(text)
        message = NewMessage(uuid4(), measure.blob(where), self.clock.now())
        recipient = await self.provider.directory.resolve(parse_address(ADDRESS))
        assert (await self.index.append([(recipient, message)])) == [None]

    async def open(self, secret: str = SECRET, on_lost: OnLost = lambda: None, name: str = ADDRESS) -> OpenMaildrop:
        """Log in."""
        attempt = Attempt(Password(name, secret), "USER", "session", "192.0.2.1")
        return await self.login(attempt, on_lost)

    async def renew(self) -> None:
        """A renewal of all leases, and the judgement that comes beside it."""
        try:
            await self.leases.renew()
        finally:
            await self.leases.judge()
