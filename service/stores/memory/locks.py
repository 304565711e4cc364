"""Maildrop leases in one process.

Owns the twin of `stores.redis`: leases that end by the clock it is given. Refuses to be shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.mail.ports import LEASE_SECONDS, Clock, Holder, Lease, Renewal
from service.model.account import MaildropKey

EVICTED = "evicted"


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    holder: Holder | None
    until: float


class MemoryMaildropLocks:
    """Implements `mail.ports.MaildropLocks`."""

    def __init__(self, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._clock = clock
        self._seconds = lease_seconds
        self._held: dict[MaildropKey, _Held] = {}
        self._evicted: dict[MaildropKey, _Held] = {}
        """Who was evicted, for as long as a lease, or until another came."""
        self._empty: dict[MaildropKey, float] = {}
        """When each maildrop's bucket of logins will be empty."""

    async def acquire(self, lease: Lease) -> bool:
        """Whether the maildrop was free, or held under this token already, and is now held under it."""
        return self._take(lease)

    async def release(self, lease: Lease) -> bool:
        """Free the maildrop if `lease.token` still holds it, or was evicted from it; whether it was so."""
        held = self._current(lease.key)
        if held is None or held.token not in (lease.token, EVICTED + lease.token):
            return False
        del self._held[lease.key]
        self._evicted.pop(lease.key, None)
        return True

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Extend all, and take again those that nobody holds and staff evicted nobody from."""
        regained = [lease for lease in leases if self._current(lease.key) is None]
        lost = [lease for lease in leases if self._marked(lease.key) is not None or not self._take(lease)]
        return Renewal(lost, [lease for lease in regained if lease not in lost])

    async def seize(self, lease: Lease) -> bool:
        """Take the maildrop from whoever holds it, unless staff evicted the holder."""
        held = self._current(lease.key)
        if (held is not None and held.holder is None) or self._out(lease):
            return False
        self._held.pop(lease.key, None)
        return self._take(lease)

    async def may_log_in(self, key: MaildropKey, delay: int, burst: int) -> bool:
        """Whether fewer than `burst` logins are in the bucket, which loses one in `delay` seconds; puts this one in."""
        now = self._clock.monotonic()
        if delay <= 0:
            return True
        empty = max(now, self._empty.get(key, now))
        if empty - now > delay * (burst - 1):
            return False
        self._empty[key] = empty + delay
        return True

    async def holders(self) -> Sequence[Holder]:
        """The live sessions, oldest first."""
        held = [self._current(key) for key in list(self._held)]
        return sorted((one.holder for one in held if one and one.holder), key=lambda holder: holder.since)

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds this maildrop."""
        held = self._current(key)
        return held.holder if held is not None else None

    async def held_as(self, address: str) -> Sequence[tuple[MaildropKey, Holder]]:
        """Who holds maildrops that have this address, or had it, oldest first."""
        held = [(key, await self.holder(key)) for key in list(self._held)]
        found = [(key, holder) for key, holder in held if holder is not None and holder.address == address]
        return sorted(found, key=lambda each: each[1].since)

    async def evict(self, key: MaildropKey) -> bool:
        """Make the holder lose its lease at its next renewal; False if nobody held it."""
        held = self._current(key)
        if held is None or held.holder is None:
            return False
        self._held[key] = _Held(EVICTED + held.token, None, held.until)
        self._evicted[key] = _Held(held.token, None, self._clock.monotonic() + self._seconds)
        return True

    def forget(self) -> None:
        """Lose everything, as a Redis without persistence does when it restarts."""
        self._held.clear()
        self._evicted.clear()
        self._empty.clear()

    def _take(self, lease: Lease) -> bool:
        held = self._current(lease.key)
        if held is not None and held.token != lease.token:
            return False
        self._held[lease.key] = _Held(lease.token, lease.holder, self._clock.monotonic() + self._seconds)
        self._evicted.pop(lease.key, None)
        return True

    def _out(self, lease: Lease) -> bool:
        """Whether staff evicted this holder within the last lease, and nobody came since."""
        return self._marked(lease.key) == lease.token

    def _marked(self, key: MaildropKey) -> str | None:
        """Whom staff evicted within the last lease, if nobody came since."""
        out = self._evicted.get(key)
        return out.token if out is not None and out.until > self._clock.monotonic() else None

    def _current(self, key: MaildropKey) -> _Held | None:
        held = self._held.get(key)
        if held is not None and held.until <= self._clock.monotonic():
            del self._held[key]
            return None
        return held
