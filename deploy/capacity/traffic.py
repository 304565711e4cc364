"""What a provider knows of its users: how many maildrops, how often they are polled, what arrives.

Owns the inputs, their defaults, and the rates that follow from them. Refuses to know what anything costs.
"""

from dataclasses import dataclass, field, fields

DAY, HOUR, MONTH = 86_400.0, 3_600.0, 30 * 86_400.0


def _asked(default: float, meaning: str) -> float:
    value: float = field(default=default, metadata={"meaning": meaning})
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Means over all maildrops, those that nobody uses included."""

    maildrops: float = _asked(1_000_000, "maildrops")
    tenants: float = _asked(0, "tenants; 0 for one to 50 maildrops")
    polls_per_hour: float = _asked(4, "logins of a maildrop in an hour")
    messages_per_day: float = _asked(10, "messages that arrive for a maildrop in a day")
    octets: float = _asked(75_000, "octets of a message")
    recipients: float = _asked(1, "recipients of one tenant that share a message")
    peak: float = _asked(2.5, "the busiest hour's share, as times of the mean")
    tls: float = _asked(1, "share of sessions whose TLS ends in Poplar's pods, from 0 to 1")
    listing: float = _asked(0.7, "share of polls that ask for UIDL or LIST, from 0 to 1")
    keep: float = _asked(0.3, "share of maildrops whose programs leave messages on the server, from 0 to 1")
    kept_messages: float = _asked(500, "messages that such a maildrop holds")
    app_passwords: float = _asked(0, "share of logins with app passwords, from 0 to 1")
    session_seconds: float = _asked(2, "seconds that a session lasts")
    retention_days: float = _asked(7, "sweep.removed_retention_days")
    audit_days: float = _asked(365, "sweep.audit_retention_days")
    sweeps_per_day: float = _asked(24, "sweeps in a day")
    remember_seconds: float = _asked(300, "hashing.remember_seconds")
    same_pod: float = _asked(0, "1 where the balancer sends a client address to the same pod each time, else 0")
    pod_cores: float = _asked(2, "cores that a front end's pod may use")
    use: float = _asked(0.6, "share of a core, or of Postgres, that is used at the peak")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value < 0 or (each.name in SHARES and value > 1) or (each.name in ABOVE_NOTHING and value == 0):
                raise ValueError(f"{each.name.replace('_', '-')} can't be {value:g}")

    @property
    def polls(self) -> float:
        """Logins a second, in the mean."""
        return self.maildrops * self.polls_per_hour / HOUR

    @property
    def arrivals(self) -> float:
        """Messages a second, in the mean: each is delivered once, and retrieved once."""
        return self.maildrops * self.messages_per_day / DAY

    @property
    def emptying(self) -> float:
        """Sessions a second that remove something: those that find mail, where mail isn't kept."""
        finding = min(self.polls_per_hour * 24, self.messages_per_day)
        return self.maildrops * (1 - self.keep) * finding / DAY

    @property
    def rows(self) -> float:
        """Rows of messages: held, and removed but not deleted yet."""
        waiting = self.messages_per_day / max(self.polls_per_hour * 24, 1)
        held = self.keep * self.kept_messages + (1 - self.keep) * waiting
        return self.maildrops * (held + self.messages_per_day * self.retention_days)

    @property
    def owners(self) -> float:
        """Tenants."""
        return self.tenants or max(1.0, self.maildrops / 50)


SHARES = frozenset({"tls", "listing", "keep", "app_passwords", "same_pod", "use"})
ABOVE_NOTHING = frozenset({"maildrops", "recipients", "pod_cores", "use", "peak"})
