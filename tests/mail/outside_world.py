"""A provider some of whose tenants' users are kept outside, over the in-memory stores; the directory is a plain object.

Owns what a directory answers, and what it was asked.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from service.mail.login import Attempt, Login
from service.mail.maildrop import OpenMaildrop
from service.mail.outside import Bounds, Directories, Guard, OutsideAccounts, Vouching
from service.mail.outside.directories import Known
from service.model.account import Account, Credential
from service.model.outside import Allowed, Answer, Question, Stored
from service.model.proof import Password, Proof
from service.model.refusal import Refusal
from service.stores.memory.homes import MemoryHomes
from service.stores.memory.passwords import PREFIX
from tests.mail.house import House


@dataclass
class Users:
    """A directory that knows these passwords by address; `judges` says which kind it is."""

    passwords: dict[str, str]
    judges: bool = False
    scram: Mapping[str, str] = field(default_factory=dict)
    refuses: Refusal | None = None
    allowed: Allowed = field(default_factory=Allowed)
    asked: list[Question] = field(default_factory=list)
    hold: asyncio.Event | None = None
    """Every question waits for it."""
    came: "asyncio.Queue[Question]" = field(default_factory=asyncio.Queue)
    """The questions again, for whoever waits until one came."""
    prefix: str = PREFIX
    """How its verifiers begin."""

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        self.came.put_nowait(question)
        if self.hold is not None:
            await self.hold.wait()
        if self.refuses is not None:
            raise self.refuses
        password = self.passwords.get(question.address.base)
        if password is None:
            return None
        if self.judges:
            return self.allowed if question.password in (None, password) else None
        keys = self.scram.get(question.address.base)
        return Stored(
            (Credential(UUID(int=1), "password", self.prefix + password, "crm", scram=keys, kept_outside=True),)
        )


class TakesAll:
    """What the login asks about tokens, as if an issuer vouched for each."""

    async def __call__(self, account: Account | None, _: object) -> Credential | None:
        return Credential(UUID(int=2), "token", "") if account is not None else None


@dataclass
class OutsideHouse:
    """A house whose tenant `example` uses the directory `crm`, whichever way it was made."""

    users: Users
    provides: bool = True
    chosen: str | None = "crm"
    default: str = ""
    bounds: Bounds = field(default_factory=Bounds)
    house: House = field(default_factory=House)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        state = self.house.provider.state
        self.tenant = state.tenants[self.house.key.tenant_id]
        self.tenant.directory = self.chosen
        self.guard = Guard("crm", self.users, self.bounds, lambda outcome, _: self.told.append(outcome))
        directories = Directories({"crm": Known(self.guard, self.provides)}, self.default)
        homes = MemoryHomes(state)
        self.accounts = OutsideAccounts(self.house.provider.directory, homes, directories)
        h = self.house
        self.login = Login(
            directory=self.accounts,
            verification=h.login.verification,
            locks=h.locks,
            index=h.index,
            leases=h.leases,
            clock=h.clock,
            process="test:1",
            vouching=Vouching(directories, homes),
        )

    async def open(self, proof: Proof | None) -> OpenMaildrop:
        """Log in."""
        attempt = Attempt(proof, "PLAIN", uuid4().hex, "192.0.2.1", "pop3s")
        held = await self.login(attempt, lambda: None)
        await self.house.update.close(held)
        return held

    async def password(self, name: str, secret: str) -> OpenMaildrop:
        """Log in with a password."""
        return await self.open(Password(name, secret))

    def trust_tokens(self) -> None:
        """Take any token for whomever it claims to be."""
        self.login = replace(self.login, bearer=TakesAll())  # type: ignore[arg-type]

    def maildrops(self) -> list[str]:
        """The addresses of all maildrops, sorted."""
        return sorted(row.address for row in self.house.provider.state.maildrops.values())
