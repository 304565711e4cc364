"""Random lives of a maildrop, led in memory and on Postgres at once: every answer must be the same. G3, G4, G7, G9.

RFC 1939 §4 to §6, as one session after another sees them.
"""

import random
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from service.model.account import MaildropKey
from service.model.aftermath import Aftermath
from service.model.listing import DropListing
from service.model.message import NewMessage
from service.model.refusal import Refusal
from service.model.shown import EVERYTHING, Shown
from service.model.trail import NO_TRAIL
from tests.stores.worlds import MemoryWorld, PostgresWorld, World, message, one_maildrop, recipient

STEPS = 120
POLICY = {"quota_messages": 25, "quota_octets": 20_000, "retrieved_days": 0}


@dataclass
class Life:
    """One maildrop in one world, and what its sessions froze."""

    world: World
    key: MaildropKey
    drops: list[DropListing] = field(default_factory=list)

    async def append(self, *messages: NewMessage) -> object:
        outcomes = await self.world.index.append([(recipient(self.key), m) for m in messages])
        return [outcome and outcome.reason for outcome in outcomes]

    async def open(self, fence: bytes, shown: Shown) -> object:
        self.drops.append(await self.world.index.open(self.key, fence, shown))
        return self.drops[-1]._replace(since=None)

    async def remove(self, fence: bytes, sequences: list[int], aftermath: Aftermath) -> object:
        try:
            await self.world.index.remove(self.key, fence, sequences, NO_TRAIL, aftermath)
        except Refusal as refusal:
            return refusal.reason
        return await self.world.notes(self.key)

    async def expire(self) -> object:
        return await self.world.sweepable.expire(3)

    async def listed(self, nth: int) -> object:
        listing = await self.world.index.listing(self.key, self.drops[nth])
        located = await self.world.index.locate(self.key, listing.sequences)
        ids = [listing.unique_id(n + 1) for n in range(len(listing))]
        return list(listing.sequences), list(listing.octets), ids, dict(located)


@dataclass
class Chance:
    """What happens next, drawn once and done to both lives."""

    draw: random.Random
    fences: list[bytes] = field(default_factory=list)
    sent: list[NewMessage] = field(default_factory=list)

    async def step(self, *lives: Life) -> list[object]:
        choice = self.draw.choices(["append", "repeat", "open", "remove", "expire", "list"], [4, 1, 2, 4, 1, 3])[0]
        if choice == "append" or not self.fences or not self.sent:
            received = datetime.now(UTC) - timedelta(days=self.draw.randrange(9), hours=12)
            trace = b"X: y\r\n" * self.draw.randrange(3)
            self.sent.append(message(self.draw.randrange(2, 2500), trace, received=received))
            self.fences.append(secrets.token_bytes(16))
            await self._each(lives, "open", self.fences[-1], EVERYTHING)
            return await self._each(lives, "append", self.sent[-1])
        if choice == "repeat":
            return await self._each(lives, "append", *self.draw.choices(self.sent, k=2))
        if choice == "open":
            self.fences.append(secrets.token_bytes(16))
            return await self._each(lives, "open", self.fences[-1], self._shown())
        if choice == "remove":
            fence = self.draw.choice(self.fences[-3:])
            first, second = (self.draw.sample(range(1, 60), self.draw.randrange(5)) for _ in range(2))
            aftermath = Aftermath(second, self.draw.choice([None, None, 3]))
            return await self._each(lives, "remove", fence, first, aftermath)
        if choice == "expire":
            return await self._each(lives, "expire")
        return await self._each(lives, "listed", self.draw.randrange(len(lives[0].drops)))

    def _shown(self) -> Shown:
        since = datetime.now(UTC) - timedelta(days=self.draw.randrange(9))
        return Shown(self.draw.choice([None, since]), self.draw.choice([None, None, 3, 6]))

    async def _each(self, lives: tuple[Life, ...], what: str, *arguments: object) -> list[object]:
        return [await getattr(life, what)(*arguments) for life in lives]


@pytest.mark.parametrize("seed", range(4))
async def test_memory_and_postgres_answer_alike_whatever_happens(postgres_world: PostgresWorld, seed: int) -> None:
    memory = MemoryWorld()
    lives = [Life(world, await one_maildrop(world, POLICY)) for world in (memory, postgres_world)]
    chance = Chance(random.Random(seed))
    for _ in range(STEPS):
        in_memory, on_postgres = await chance.step(*lives)
        assert in_memory == on_postgres
    for nth in range(len(lives[0].drops)):
        assert await lives[0].listed(nth) == await lives[1].listed(nth)
