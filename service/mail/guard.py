"""Stands before every login: holds back who guesses passwords, and counts who guessed wrong.

Owns when a login is asked about, held back and counted. One that is held back makes the same round trip to the
directory as any other and is refused in the same words, so that nothing tells a block from a wrong password (G13). Only
a refusal of credentials counts: never a store that is away, nor a maildrop in use (G14). Refuses to know where scores
are kept.
RFC 3206 §5.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar

from service.mail.afterwards import Afterwards
from service.mail.attempts import NO_RECORD, Attempts, Charge, Counted, Record
from service.mail.counting import PLACES, Lately, Rules, Suspects, Tenants, pair_of, suspects
from service.model.account import Account
from service.model.attempts import LIGHT, NEW, Kind, Limit, Standing, Subject, Verdict, judge, mark_of
from service.model.proof import BearerProof, Password, Proof
from service.model.refusal import Reason, Refusal
from service.model.why import Why

Found = TypeVar("Found")
MOST = 1024
"""Writes that nobody waits for; further ones are left out."""
HOW = frozenset({"new", "repeated", "unseen", "abandoned"})
"""A wrong password, also of a client that went away meanwhile; one that was counted already; one not looked at, as its
subject is refused; an exchange that had its look-up and never came to a login."""


class Watcher(Protocol):
    """Hears what the guard does."""

    def held_back(self, verdict: Verdict) -> None:
        """A login waits, is refused unseen, or has its connection closed as well."""

    def counted(self, how: str, limits: Mapping[Kind, Limit], counted: Sequence[Counted], real: bool) -> None:
        """A failure was counted: one of `HOW`. `real` tells that the account among `counted` is somebody's."""


class Unwatched:
    """A watcher that forgets."""

    def held_back(self, verdict: Verdict) -> None:
        """Forget it."""

    def counted(self, how: str, limits: Mapping[Kind, Limit], counted: Sequence[Counted], real: bool) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard of one process; without `attempts` or limits it lets everybody pass."""

    attempts: Attempts | None = None
    rules: Rules = field(default_factory=Rules)
    watcher: Watcher = field(default_factory=Unwatched)
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    tenants: Tenants = field(default_factory=Tenants)
    lately: Lately = field(default_factory=Lately)
    pairs: OrderedDict[tuple[str, str], Subject] = field(default_factory=OrderedDict)
    """By address and name, of those that were let in lately: neither need be read again."""
    after: Afterwards = field(default_factory=lambda: Afterwards(MOST))

    def trial(self, client: str, proof: Proof | None) -> "Trial":
        """A login from the address `client`, to be entered with `async with`."""
        return Trial(self, self.suspects(client, proof.name if proof else ""), _tried(proof))

    def pair(self, client: str, proof: Proof | None) -> Subject | None:
        """The account from this address, where that is counted."""
        if proof is None:
            return None
        pair = self.pairs.get((client, proof.name))
        return pair if pair is not None else self._pair(client, proof.name)

    def _pair(self, client: str, name: str) -> Subject | None:
        pair = pair_of(self.rules, self.tenants, client, name)
        # Another name is perhaps a password, typed into the wrong field, which may not be kept (G17).
        if pair is not None and pair in self.lately:
            self.pairs[client, name] = pair
            if len(self.pairs) > PLACES:
                self.pairs.popitem(last=False)
        return pair

    def familiar(self, pair: Subject | None) -> bool:
        """Whether the account was opened from there lately, or nobody is counted: then a login needs no trial."""
        return pair in self.lately if pair is not None else not self.rules.counted

    def opened(self, account: Account, pair: Subject, known: float) -> None:
        """A login went well: from there it does so for a while. `known` are the seconds for which that is known yet."""
        if self.attempts is None:
            return
        self.lately.opened(pair)
        # It isn't written at every login, but often enough that it doesn't end while the account is in use.
        remember = self.rules.remember
        if known < remember / 2:
            self.after.begin(account.key.maildrop_id, partial(self.attempts.opened, pair, remember))

    async def look_up(self, client: str, name: str, found: Awaitable[Account | None]) -> tuple[Account | None, bool]:
        """What `found` brings for an exchange that comes to a login later, and whether that is to be refused unseen.

        Raises Refusal(CREDENTIALS) where the connection is to be closed, and what `found` raises.
        """
        account, record = await self.beside(found, self.suspects(client, name).all)
        verdict = self.verdict(record)
        await self.hold_back(verdict, only_closing=True)
        return account, verdict.refused

    async def abandoned(self, client: str) -> None:
        """An exchange had its look-up and never came to a login: that counts against the address."""
        await self.count("abandoned", self.suspects(client, "").places, NEW)

    async def standing(self, client: str, name: str) -> tuple[Record, Verdict]:
        """How a login as `name` from this address would be met now, for staff. Changes nothing."""
        record = await self.record(self.suspects(client, name).all)
        return record, self.verdict(record)

    def suspects(self, client: str, name: str) -> Suspects:
        """Whom a login concerns."""
        return suspects(self.rules, self.tenants, client, name) if self.rules.counted else Suspects()

    async def beside(
        self, found: Awaitable[Found], subjects: Sequence[Subject], mark: str = ""
    ) -> tuple[Found, Record]:
        """What `found` brings and what is known of `subjects`, asked for at the same time."""
        asked = asyncio.get_running_loop().create_task(self.record(subjects, mark))
        try:
            return await found, await asked
        finally:
            asked.cancel()

    async def record(self, subjects: Sequence[Subject], mark: str = "") -> Record:
        """What is known of them, in one round trip."""
        if self.attempts is None or not subjects:
            return NO_RECORD
        return Record(await self.attempts.standings(subjects, mark))

    def verdict(self, record: Record) -> Verdict:
        """What becomes of a login with this record."""
        return judge(record.judged, self.rules.limits, self.rules.longest_delay)

    async def hold_back(self, verdict: Verdict, *, only_closing: bool = False) -> None:
        """Wait as long as the verdict says. Raises Refusal(CREDENTIALS) if it is to be refused."""
        if verdict.by is None:
            return
        self.watcher.held_back(verdict)
        await self.pause(verdict.delay)
        if verdict.closes or (verdict.refused and not only_closing):
            cause = f"held back: {_named(verdict.by.subject)}, {verdict.by.score:.0f} wrong passwords"
            raise Refusal(Reason.CREDENTIALS, cause, Why.BLOCKED, final=verdict.closes)

    async def count(self, how: str, subjects: Sequence[Subject], weight: float, keep: "Keep | None" = None) -> None:
        """Charge each of `subjects`; the account's charge carries the mark that is to be kept."""
        if self.attempts is None or not subjects:
            return
        charges = []
        for each in subjects:
            marked = keep if keep is not None and each.kind is Kind.ACCOUNT else Keep()
            charges.append(Charge(each, weight, self._limit(each).most, marked.mark, marked.seconds))
        real = keep is not None and keep.real
        self.watcher.counted(how, self.rules.limits, await self.attempts.count(charges), real)

    def _limit(self, subject: Subject) -> Limit:
        return self.rules.limits.get(subject.kind, Limit())

    async def close(self) -> None:
        """Give what is still to be remembered a short while."""
        await self.after.close()


@dataclass(frozen=True, slots=True)
class Keep:
    """A mark, and the seconds for which it is kept at least; `real` tells that the account is somebody's."""

    mark: str = ""
    seconds: float = 0.0
    real: bool = False


class Trial:
    """One login, from before its password is looked at to its outcome, which leaving the block tells."""

    def __init__(self, guard: Guard, concerned: Suspects, secret: str | None) -> None:
        self._guard = guard
        self._suspects = concerned
        self._secret = secret
        self._record = NO_RECORD
        self._seen = False
        self.account: Account | None = None
        """Whose login it is, as soon as that is known and if there is a maildrop."""

    async def __aenter__(self) -> "Trial":
        """Begin; `beside` does the asking."""
        return self

    async def beside(self, found: Awaitable[Account | None]) -> Account | None:
        """What `found` brings, once the password may be looked at.

        Raises Refusal(CREDENTIALS) where it may not, and what `found` raises.
        """
        guard = self._guard
        pair = self._suspects.pair
        if pair is not None and pair in guard.lately:
            # The account's mark, which costs as much as a right password that is remembered, isn't asked about.
            account, self._record = await guard.beside(found, (pair,))
        else:
            account, self._record = await guard.beside(found, self._suspects.all, self._mark())
        self.account = account if account is not None and account.housed else None
        self._learn_tenant()
        verdict = guard.verdict(self._record)
        if account is not None and account.kept is not None:
            # The directory is away, and a name that isn't remembered was refused before: neither a wait nor other words
            # may tell that this one is. A few wrong passwords make it forgotten.
            return replace(account, active=False) if verdict.refused else account
        await guard.hold_back(verdict)
        self._seen = True
        return account

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count a refusal of credentials, remember a success, and forget everything else."""
        if error is None and self.account is not None:
            self._opened(self.account, self._record.pair)
        elif isinstance(error, Refusal) and error.reason is Reason.CREDENTIALS:
            await self._failed()

    def _opened(self, account: Account, pair: Standing | None) -> None:
        if pair is not None:
            # Failures are forgotten by its being known anew.
            self._guard.opened(account, pair.subject, 0.0 if pair.score else pair.known)

    async def _failed(self) -> None:
        if not self._seen:
            await self._guard.count("unseen", self._suspects.places, LIGHT)
            return
        if len(self._record.standings) < len(self._suspects.all):
            self._record = await self._guard.record(self._suspects.all, self._mark())
        repeated = self._record.repeated
        # The marks of names that nobody has would fill the memory for days.
        keep = Keep(self._mark(), self._guard.rules.remember, real=True) if self.account else Keep(self._mark())
        how, weight = ("repeated", LIGHT) if repeated else ("new", NEW)
        await self._guard.count(how, self._suspects.all, weight, keep)

    def _mark(self) -> str:
        """What this password is known by when it is tried again."""
        account = self._suspects.account
        return mark_of(account.name, self._secret) if account and self._secret is not None else ""

    def _learn_tenant(self) -> None:
        if self.account is not None:
            self._guard.tenants.learn(self.account.address.rpartition("@")[2], self.account.tenant)


def _tried(proof: Proof | None) -> str | None:
    """What is known again when it is tried once more: Thunderbird shows a refused token by both mechanisms in turn."""
    match proof:
        case Password(secret=secret):
            return secret
        case BearerProof(token=token):
            return token
    return None


def _named(subject: Subject) -> str:
    """For the log: a name that is nobody's may be a password, typed into the wrong field (G17)."""
    match subject.kind:
        case Kind.PAIR:
            return "the account from this address"
        case Kind.ACCOUNT:
            return "the account"
        case _:
            return f"{subject.kind.value} {subject.name}"
