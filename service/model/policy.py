"""What a tenant or maildrop is allowed and what is announced to its clients.

Owns the values and what they are where no level sets them; refuses to know where they are kept and which texts and
numbers are sound (`policy_table.py` says that).
RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from dataclasses import dataclass

PolicyValue = int | bool | str | tuple[str, ...] | None
"""One value: a number, a switch, a word, several words; None means no limit (or never, or any)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The effective policy of one maildrop: its tenant's values, overridden by its own."""

    login_delay: int = 0
    """Seconds that must pass between two logins; 0 for none (RFC 2449 §6.5)."""
    expire_days: int | None = None
    """Days after which a message is removed by the service; None for never (RFC 2449 §6.7)."""
    quota_octets: int | None = None
    """Octets the maildrop may hold; None for no limit."""
    quota_messages: int | None = None
    """Messages the maildrop may hold; None for no limit."""
    pop3: bool = True
    """Whether POP3 may open the maildrop at all; mail is delivered to it either way."""
    mechanisms: tuple[str, ...] | None = None
    """Ways to log in that are allowed: SASL names, and USER for USER and PASS; None for any."""
    networks: tuple[str, ...] | None = None
    """Networks that clients may come from, in CIDR notation; None for any."""
    app_passwords: str = "allowed"
    """Whether app passwords are `required`: then the maildrop's ordinary password opens nothing."""
    login_burst: int = 2
    """Logins that may follow each other at once before `login_delay` holds the next one back."""
    sessions_per_address: int | None = None
    """Sessions at once of the tenant's maildrops from one client address; None for no limit."""
    sessions_per_tenant: int | None = None
    """Sessions at once of all the tenant's maildrops; None for no limit."""
    octets_per_day: int | None = None
    """Octets of messages that the maildrop may retrieve in 24 hours; None for no limit."""
    dele: str = "remove"
    """What DELE means: `remove`; `undo`, which can be restored for `undo_days`; `keep`, which pretends; `refuse`."""
    undo_days: int = 30
    """Days for which a message can be restored where `dele` is `undo`."""
    retrieved_days: int | None = None
    """Days after which a message that RETR brought is removed; 0 with that session's QUIT; None for never."""
    shown_since: str | None = None
    """Day, as YYYY-MM-DD in UTC, from which on received mail is shown; None for any."""
    shown_days: int | None = None
    """Days for which mail is shown after it was received; None for ever."""
    recent_days: int | None = 30
    """Days that are shown to who logs in with `recent:` before the name; None where nobody may."""
    order: str = "oldest"
    """Which message has number 1: the `oldest` or the `newest`."""

    @property
    def removes(self) -> bool:
        """Whether what a client marks is removed by its QUIT."""
        return self.dele in ("remove", "undo")

    @property
    def retention(self) -> int | None:
        """Days for which a message is surely kept that nobody removes; None for ever.

        RFC 2449 §6.7: where messages are treated differently, by whether they were seen, the smallest is announced.
        """
        return min((days for days in (self.expire_days, self.retrieved_days) if days is not None), default=None)


@dataclass(frozen=True, slots=True)
class Announced:
    """What CAPA says before login, when the maildrop isn't known yet.

    RFC 2449 §6.5: "the largest value which could be set for any user", and `varies` tells that the true one is
    announced after login; §6.7: the smallest retention, likewise.
    """

    login_delay: int = 0
    login_delay_varies: bool = False
    expire_days: int | None = None
    expire_varies: bool = False
