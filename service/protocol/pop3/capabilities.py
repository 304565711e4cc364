"""What CAPA says, in each state.

Owns which capability is listed when. Refuses to know how the values came to be.
RFC 2449 §5, §6; RFC 2595 §4; RFC 3206 §6; RFC 5034 §3; RFC 6856 §2.
"""

from typing import NamedTuple

from service.model.policy import Announced, Policy
from service.protocol.sasl.exchange import NOTHING_KNOWN, Outside
from service.protocol.sasl.mechanisms import EVERYWHERE, MECHANISMS

ALWAYS = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING")


class Surroundings(NamedTuple):
    """What a session knows of its connection and of the service's configuration."""

    private: bool
    """Whether the way to the client is encrypted, so that passwords may be sent."""
    may_start_tls: bool
    announced: Announced
    utf8_listed: bool = False
    implementation: str = "Poplar"
    login_failures: int = 10
    """Failed logins after which the connection is closed; the same wrong password counts once."""
    mechanisms: frozenset[str] = EVERYWHERE
    """The SASL mechanisms that can succeed here."""
    outside: Outside = NOTHING_KNOWN
    """What those mechanisms are told of the connection."""

    @property
    def offered(self) -> list[str]:
        """The SASL mechanisms that may be used now, strongest first: none on a way in clear."""
        return [name for name in MECHANISMS if self.private and name in self.mechanisms]


def before_login(around: Surroundings, *, stls: bool) -> list[str]:
    """The capabilities in AUTHORIZATION.

    RFC 2595 §4: STLS is listed only where it is permitted. RFC 2595 §2.3: servers "MUST be configurable to refuse all
    clear-text login commands or mechanisms [...] unless an encryption layer of adequate strength is active": then
    USER and SASL are not listed either. RFC 8314 §4: "servers SHOULD NOT advertise STARTTLS if the use of the
    STARTTLS command by a client is likely to fail".
    """
    lines = [*ALWAYS, *_announced(around.announced), *_login(around)]
    if stls:
        lines.append("STLS")
    return lines


def after_login(around: Surroundings, policy: Policy) -> list[str]:
    """The capabilities in TRANSACTION.

    RFC 2449 §5: "Capabilities available in the AUTHORIZATION state MUST be announced in both states", SASL too
    (RFC 5034 §3); but not STLS, which is "AUTHORIZATION state only" (RFC 2595 §8).
    RFC 2449 §6.5 and §6.7: the maildrop's true values, without `USER`.
    """
    lines = [*ALWAYS, _expire(policy.retention)]
    # RFC 2449 §5: what AUTHORIZATION listed is listed in TRANSACTION too, so a delay of 0 is said where others wait.
    if policy.login_delay or around.announced.login_delay:
        lines.append(f"LOGIN-DELAY {policy.login_delay}")
    # RFC 2449 §6.9: "a server MAY chose to do so only in TRANSACTION state."
    return [*lines, *_login(around), f"IMPLEMENTATION {around.implementation}"]


def _login(around: Surroundings) -> list[str]:
    lines = ["USER", "SASL " + " ".join(around.offered)] if around.private else []
    # RFC 6856 §2.2: with `USER`, "the server accepts UTF-8 usernames and passwords." Listed by setting only:
    # Evolution 3.46 hangs when it is.
    return [*lines, "UTF8 USER"] if around.utf8_listed else lines


def _announced(announced: Announced) -> list[str]:
    """RFC 2449 §6.5, §6.7: the extreme value before login, `USER` when it may vary by user."""
    lines = [_expire(announced.expire_days) + " USER" * announced.expire_varies]
    if announced.login_delay:
        lines.append(f"LOGIN-DELAY {announced.login_delay}" + " USER" * announced.login_delay_varies)
    return lines


def _expire(days: int | None) -> str:
    """RFC 2449 §6.7: "EXPIRE NEVER asserts that the server does not delete messages"."""
    return "EXPIRE NEVER" if days is None else f"EXPIRE {days}"
