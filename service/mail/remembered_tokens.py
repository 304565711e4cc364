"""Tokens that were good a moment ago, so that the next login with one need not ask its issuer again.

Owns how a verdict is bound: to the issuer as it is stored now and to the token, by a keyed hash whose key lives and
dies with the process; so a changed, suspended or removed issuer binds the next login (G11). Never past the token's own
end. Keeps no token (G17), successes alone, for a short while and in bounded number (G15).
"""

import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta

from service.mail.claims import Moment, Vouched
from service.mail.ports import Clock
from service.model.issuer import Issuer

SECONDS = 60.0
ENTRIES = 16_384
KEY_OCTETS = 32


class RememberedTokens:
    """What was vouched for in the last `seconds`; 0 remembers nothing."""

    def __init__(self, clock: Clock, seconds: float = SECONDS, entries: int = ENTRIES) -> None:
        self._clock = clock
        self._seconds = seconds
        self._entries = entries
        self._key = secrets.token_bytes(KEY_OCTETS)
        self._kept: OrderedDict[bytes, tuple[float, Vouched]] = OrderedDict()
        """Hash of a verdict -> when it is over, and what it was; the oldest first."""

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def recall(self, issuer: Issuer, token: str, moment: Moment) -> Vouched | None:
        """What `issuer` vouched for lately, if that still holds."""
        until, vouched = self._kept.get(self._digest(issuer, token), (0.0, None))
        if vouched is None or until <= self._clock.monotonic() or _is_over(vouched.expires, moment):
            return None
        return vouched

    def remember(self, issuer: Issuer, token: str, vouched: Vouched, moment: Moment) -> None:
        """Keep what `issuer` vouches for; a token without an end is asked about each time."""
        if not self._seconds or vouched.expires is None or _is_over(vouched.expires, moment):
            return
        now = self._clock.monotonic()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
        digest = self._digest(issuer, token)
        self._kept.pop(digest, None)
        self._kept[digest] = (now + self._seconds, vouched)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def _digest(self, issuer: Issuer, token: str) -> bytes:
        # Every value of the issuer as it is stored, the secret that its own form hides included.
        row = repr((issuer, issuer.client_secret)).encode()
        return hmac.digest(self._key, len(row).to_bytes(4, "big") + row + token.encode(), "sha256")


def _is_over(expires: datetime | None, moment: Moment) -> bool:
    return expires is not None and expires - moment.now <= timedelta(0)
