"""How much a tenant and a maildrop may have at a time: sessions at once, octets a day.

Owns the port and the two judgements. Counters are shared by all front ends and are conveniences: while they can't be
reached, everybody has what they ask for. Refuses to know who counts, and costs nothing where no policy sets a limit.
RFC 3206 §4 ([SYS/TEMP]), RFC 2449 §3.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Protocol

from service.model.account import Account, MaildropKey
from service.model.policy import Policy
from service.model.refusal import Reason, Refusal

DAY_SECONDS = 86_400
PAUSE = 0.25
"""Seconds until what couldn't be given back is tried again: its user may be back already."""
MOST = 10_000
"""Sessions that are over and still counted, of which one process remembers that, at some 500 octets."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Sessions that are counted together, and how many of them there may be at once."""

    name: str
    limit: int


class Allowances(Protocol):
    """Counters of what is had. Every method may raise Refusal(UNAVAILABLE)."""

    async def enter(self, circle: Circle, token: str) -> bool:
        """Whether the session `token` is counted in the circle now, for a while; not if the circle is full."""

    async def stay(self, circle: str, tokens: Sequence[str]) -> None:
        """Count these for as long again."""

    async def leave(self, circle: str, token: str) -> None:
        """Count it no longer."""

    async def spend(self, key: MaildropKey, octets: int, limit: int) -> float:
        """Add to what the maildrop had today; 0, or if that is `limit` or more, the seconds until the day is over.

        A day begins with the first octet and lasts 24 hours.
        """


class Places:
    """The sessions of this process that are counted somewhere, by the token of their lease."""

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances
        self._held: dict[str, list[Circle]] = {}
        self._left: dict[str, list[Circle]] = {}
        """Of sessions that are over: still to be given back, those first that weren't tried for longest."""
        self._some = asyncio.Event()

    def __len__(self) -> int:
        """How many sessions are counted."""
        return len(self._held)

    def __contains__(self, token: str) -> bool:
        """Whether this one is counted."""
        return token in self._held

    async def take(self, account: Account, client: str, token: str) -> None:
        """Count a session wherever its policy sets a limit. Raises Refusal(TOO_MANY_SESSIONS), counted nowhere then."""
        if not bounded(account.policy):
            return
        self._held[token] = circles = circles_of(account, client)
        try:
            entered = await asyncio.gather(*(self._enter(circle, token) for circle in circles))
        except BaseException:
            await self.give_back(token)
            raise
        if not all(entered):
            await self.give_back(token)
            full = [circle.name for circle, inside in zip(circles, entered, strict=True) if not inside]
            raise Refusal(Reason.TOO_MANY_SESSIONS, f"too many sessions at once: {', '.join(full)}")

    async def give_back(self, token: str) -> None:
        """Count a session no longer; where that can't be told, as soon as it can. So too where this is cancelled."""
        if (circles := self._held.pop(token, None)) is not None:
            await self._leave(token, circles)

    async def keep_giving_back(self) -> None:
        """Until cancelled, give back what could not be given back, soon after the counters can be reached again."""
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            self._some.clear()
            for token, circles in self._left.copy().items():
                if not await self._leave(token, circles):
                    break

    async def renew(self) -> None:
        """Count all for as long again. Raises Refusal(UNAVAILABLE) when some couldn't be told."""
        held = self._held.copy()
        tokens: dict[str, list[str]] = {}
        for token, circles in held.items():
            for circle in circles:
                tokens.setdefault(circle.name, []).append(token)
        stays = (self._allowances.stay(name, each) for name, each in tokens.items())
        answers = await asyncio.gather(*stays, return_exceptions=True)
        for token in held.keys() - self._held.keys():
            # It ended meanwhile, and this may have counted it once more after its end.
            await self._leave(token, held[token])
        for refusal in filter(None, answers):
            raise refusal

    async def keep(self, every: float, report: Callable[[Refusal | None], None]) -> None:
        """Renew every `every` seconds until cancelled; `report` hears of each round's refusal, or None."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.renew()
            except Refusal as refusal:
                report(refusal)
            else:
                report(None)

    async def _leave(self, token: str, circles: list[Circle]) -> bool:
        """Whether that could be told."""
        try:
            for circle in circles:
                await self._allowances.leave(circle.name, token)
        except (Refusal, asyncio.CancelledError) as error:
            self._try_again(token, circles)
            if not isinstance(error, Refusal):
                raise
            return False
        self._left.pop(token, None)
        return True

    def _try_again(self, token: str, circles: list[Circle]) -> None:
        # The next try is another's: a part of the counters may be away alone.
        self._left.pop(token, None)
        self._left[token] = circles
        if len(self._left) > MOST:
            # Its time is over, or will be before the others'.
            del self._left[next(iter(self._left))]
        self._some.set()

    async def _enter(self, circle: Circle, token: str) -> bool:
        try:
            return await self._allowances.enter(circle, token)
        except Refusal:
            return True


def bounded(policy: Policy) -> bool:
    """Whether there may be so many sessions at once and no more."""
    return policy.sessions_per_address is not None or policy.sessions_per_tenant is not None


def circles_of(account: Account, client: str) -> list[Circle]:
    """Where a session of this account from this address is counted."""
    policy, tenant = account.policy, account.key.tenant_id
    return list(
        _limited(
            (f"{tenant}:{network_of(client)}", policy.sessions_per_address),
            (f"{tenant}", policy.sessions_per_tenant),
        )
    )


def _limited(*circles: tuple[str, int | None]) -> Iterable[Circle]:
    return (Circle(name, limit) for name, limit in circles if limit is not None)


@lru_cache(4096)
def network_of(client: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which is one household's."""
    address = ip_address(client.partition("%")[0])
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False).network_address)


class DailyOctets:
    """What one session has of its maildrop's day."""

    def __init__(self, allowances: Allowances, key: MaildropKey, policy: Policy) -> None:
        self._allowances = allowances
        self._key = key
        self._limit = policy.octets_per_day
        self._sent = 0

    @property
    def limited(self) -> bool:
        """Whether anything is counted at all."""
        return self._limit is not None

    async def admit(self) -> None:
        """Before a message is sent. Raises Refusal(DAY_USED_UP) saying for how long: the last one may go over."""
        if self._limit is None:
            return
        wait = await self._told(self._limit)
        if wait > 0:
            raise Refusal(Reason.DAY_USED_UP, f"{self._limit} octets a day", wait=wait)

    def sent(self, octets: int) -> None:
        """Octets that left since."""
        self._sent += octets

    async def close(self) -> None:
        """Count what was sent last."""
        if self._limit is not None and self._sent:
            await self._told(self._limit)

    async def _told(self, limit: int) -> float:
        sent, self._sent = self._sent, 0
        try:
            return await self._allowances.spend(self._key, sent, limit)
        except Refusal:
            return 0.0
