"""What kinds of policy value there are: numbers, switches, days, one word of several, several words, networks.

Owns for each kind which values are sound, how a person types them, and which of two is looser: a tenant's own admin may
tighten what the provider sold and not loosen it. Refuses to know any one policy; `policy_table.py` names them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_network

from service.model.policy import PolicyValue

UNLIMITED = ("none", "never", "any")
"""What a person may type for None."""
MOST_WORDS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(ABC):
    """One policy value: its bounds, its text and its direction. `help` continues "the policy value is ..."."""

    help: str
    metavar: str
    optional: bool = True
    """Whether None may be set."""
    nothing: str = "none"
    """What a person calls None: no limit, never, any."""
    narrows: bool = False
    """Whether an app password may set it, too, and only so that it allows less than the maildrop's policy."""

    none_is_tightest: bool = False
    """Whether None allows the least, as where it switches something off."""

    def check(self, value: PolicyValue) -> None:
        """Raises ValueError, whose words follow the value's name, when `value` isn't sound."""
        if value is None and not self.optional:
            raise ValueError(f"is {self.bounds}, and can't be none")
        if value is not None and not self._sound(value):
            raise ValueError(f"is {self.bounds}")

    def readable(self, value: PolicyValue) -> bool:
        """Whether a stored value can be obeyed, though it may be outside of today's bounds."""
        return self._sound(value)

    def parse(self, text: str) -> PolicyValue:
        """The value that a person typed, still to be checked. Raises ValueError."""
        return None if text in UNLIMITED else self._parse(text)

    def looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        """Whether `value` allows a client more than `bound` does."""
        if value is None or bound is None:
            return (value if self.none_is_tightest else bound) is not None
        return self._looser(value, bound)

    @property
    @abstractmethod
    def bounds(self) -> str:
        """What a sound value is, in words."""

    @abstractmethod
    def _sound(self, value: PolicyValue) -> bool: ...

    @abstractmethod
    def _parse(self, text: str) -> PolicyValue: ...

    @abstractmethod
    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Rule):
    """A whole number; `less_is_looser` where a small one allows more."""

    low: int
    high: int
    less_is_looser: bool = False

    @property
    def bounds(self) -> str:
        """Its least and its greatest."""
        return f"{self.low} to {self.high}"

    def readable(self, value: PolicyValue) -> bool:
        """Whether it is a whole number."""
        return isinstance(value, int) and not isinstance(value, bool)

    def _sound(self, value: PolicyValue) -> bool:
        return isinstance(value, int) and self.readable(value) and self.low <= value <= self.high

    def _parse(self, text: str) -> PolicyValue:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"{text!r} is not a number")
        return int(text)

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        if not (isinstance(value, int) and isinstance(bound, int)):
            return True
        return value < bound if self.less_is_looser else value > bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Rule):
    """One word of `options`, which stand from the tightest to the loosest; all are equal where `unordered`."""

    options: tuple[str, ...]
    unordered: bool = False
    optional: bool = False

    @property
    def bounds(self) -> str:
        """All of them."""
        return "one of " + ", ".join(self.options)

    def _sound(self, value: PolicyValue) -> bool:
        return value in self.options

    def _parse(self, text: str) -> PolicyValue:
        return text

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        if self.unordered or value not in self.options or bound not in self.options:
            return not self.unordered
        return self.options.index(value) > self.options.index(bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Rule):
    """On or off; `loose` is the side that allows more."""

    loose: bool
    metavar: str = "on|off"
    optional: bool = False

    @property
    def bounds(self) -> str:
        """Both."""
        return "on or off"

    def _sound(self, value: PolicyValue) -> bool:
        return isinstance(value, bool)

    def _parse(self, text: str) -> PolicyValue:
        words = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
        if text not in words:
            raise ValueError(f"{text!r} is neither on nor off")
        return words[text]

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        return value is self.loose and bound is not self.loose


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Rule):
    """A day of the calendar, from which on something is allowed: an earlier one allows more."""

    metavar: str = "YYYY-MM-DD"

    @property
    def bounds(self) -> str:
        """What a day looks like."""
        return "a day such as 2026-01-31"

    def _sound(self, value: PolicyValue) -> bool:
        try:
            return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False

    def _parse(self, text: str) -> PolicyValue:
        return text

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        return not (isinstance(value, str) and isinstance(bound, str) and value >= bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Rule):
    """Some of `known`, at least one; a person types them with commas between."""

    known: tuple[str, ...]
    nothing: str = "any"

    @property
    def bounds(self) -> str:
        """All that there are."""
        return "one or more of " + ", ".join(self.known)

    def _sound(self, value: PolicyValue) -> bool:
        return isinstance(value, tuple) and 0 < len(value) <= MOST_WORDS and set(value) <= set(self.known)

    def _parse(self, text: str) -> PolicyValue:
        return tuple(word.strip().upper() for word in text.split(","))

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        return not (isinstance(value, tuple) and isinstance(bound, tuple) and set(value) <= set(bound))


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks(Rule):
    """Networks in CIDR notation, at least one; a person types them with commas between."""

    metavar: str = "NETWORK,..."
    nothing: str = "any"

    @property
    def bounds(self) -> str:
        """What a network looks like."""
        return f"1 to {MOST_WORDS} networks such as 192.0.2.0/24 or 2001:db8::/32"

    def _sound(self, value: PolicyValue) -> bool:
        return isinstance(value, tuple) and 0 < len(value) <= MOST_WORDS and all(map(_network, value))

    def _parse(self, text: str) -> PolicyValue:
        return tuple(word.strip() for word in text.split(","))

    def _looser(self, value: PolicyValue, bound: PolicyValue) -> bool:
        if not (isinstance(value, tuple) and isinstance(bound, tuple)):
            return True
        outer = [network for text in bound if (network := _network(text))]
        return not all(_within(_network(text), outer) for text in value)


def _network(text: object) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _within(inner: IPv4Network | IPv6Network | None, outer: list[IPv4Network | IPv6Network]) -> bool:
    if isinstance(inner, IPv4Network):
        return any(isinstance(each, IPv4Network) and inner.subnet_of(each) for each in outer)
    return inner is not None and any(isinstance(each, IPv6Network) and inner.subnet_of(each) for each in outer)
