"""Who is counted when a login fails: the client's address, the account, both together, and the tenant.

Owns what the provider sets about it, and which networks are never counted. Refuses to know scores and verdicts.
RFC 4291 §2.5.4 (an interface's part of an IPv6 address has 64 bits: a customer has a /64 at least).
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from service.model.address import Address, parse_address
from service.model.attempts import Kind, Limit, Subject

Network = IPv4Network | IPv6Network
PLACES = 16_384
"""Addresses that a process needn't read again, and pairs that it knows, at some 600 octets each."""
DOMAINS = 65_536
"""Domains of which a process remembers the tenant, at some 200 octets each."""


@dataclass(frozen=True)
class Rules:
    """How the provider wants it; seconds. Without limits nobody is counted."""

    limits: Mapping[Kind, Limit] = field(default_factory=dict)
    longest_delay: float = 8.0
    remember: float = 7 * 86_400.0
    """For how long it is known that an address opened an account, and that a wrong password was counted."""
    exempt: tuple[Network, ...] = ()
    """Where many clients share an address: the address is never counted, but one account from it is."""
    proxies: tuple[Network, ...] = ()
    """Balancers: a client with such an address may be anybody, so that only account and tenant are counted."""

    @cached_property
    def counted(self) -> frozenset[Kind]:
        """Which kinds are. An account always is where any is: its marks tell what was counted already."""
        counted = {kind for kind, limit in self.limits.items() if limit.counts}
        return frozenset({Kind.ACCOUNT, *counted}) if counted else frozenset()

    @cached_property
    def ground(self) -> Callable[[str], "Ground"]:
        """What these rules make of the place of a client with this address, remembered for PLACES of them."""
        return lru_cache(maxsize=PLACES)(partial(ground_of, self))


class Suspects(NamedTuple):
    """Whom a failure of one login concerns."""

    places: tuple[Subject, ...] = ()
    """The client's address, and its /48 if it is IPv6."""
    pair: Subject | None = None
    account: Subject | None = None
    tenant: Subject | None = None

    @property
    def all(self) -> tuple[Subject, ...]:
        """Each of them."""
        return (*self.places, *(each for each in (self.pair, self.account, self.tenant) if each is not None))


class Tenants:
    """The tenant of each domain, as last seen: a login's is known only when the directory has answered.

    A domain that was never seen, or that nobody has, stands for itself.
    """

    def __init__(self, most: int = DOMAINS) -> None:
        self._most = most
        self._names: OrderedDict[str, str] = OrderedDict()

    def __getitem__(self, domain: str) -> str:
        """Whom to count for `domain`."""
        return self._names.get(domain, domain)

    def __contains__(self, domain: str) -> bool:
        """Whether somebody was found there."""
        return domain in self._names

    def learn(self, domain: str, tenant: str) -> None:
        """`domain` is this tenant's."""
        if self._names.get(domain) == tenant:
            return
        self._names[domain] = tenant
        if len(self._names) > self._most:
            self._names.popitem(last=False)


class Lately:
    """The pairs of account and address that opened a maildrop in this process in the last `seconds`.

    Nothing but the pair's own standing is asked about these, as nothing else would be judged.
    """

    def __init__(self, seconds: float = 600.0, most: int = PLACES, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()
        """By the pairs' names: a subject's own hash takes several calls."""

    def __contains__(self, pair: Subject) -> bool:
        """Whether it did."""
        return self._until.get(pair.name, 0.0) > self._clock()

    def opened(self, pair: Subject) -> None:
        """It did just now."""
        self._until[pair.name] = self._clock() + self._seconds
        self._until.move_to_end(pair.name)
        if len(self._until) > self._most:
            self._until.popitem(last=False)


def suspects(rules: Rules, tenants: Tenants, client: str, name: str) -> Suspects:
    """Whom to ask about before a login as `name` from the address `client`.

    What isn't the name of an account concerns the address alone.
    """
    counted, places = rules.counted, rules.ground(client).counted
    if (address := _counted(tenants, name)) is None:
        return Suspects(places)
    return Suspects(
        places,
        pair_of(rules, tenants, client, name),
        Subject(Kind.ACCOUNT, str(address)) if Kind.ACCOUNT in counted else None,
        Subject(Kind.TENANT, tenants[address.domain]) if Kind.TENANT in counted else None,
    )


def pair_of(rules: Rules, tenants: Tenants, client: str, name: str) -> Subject | None:
    """The account that logs in as `name`, from the address `client`; None where both together aren't counted."""
    if Kind.PAIR not in rules.counted:
        return None
    ground = rules.ground(client)
    if ground.anybodys or (address := _counted(tenants, name)) is None:
        return None
    return Subject(Kind.PAIR, f"{address} {ground.name}")


def _counted(tenants: Tenants, name: str) -> Address | None:
    """The account that logs in as `name`, unless it is nobody's.

    That may be a password, typed into the wrong field, and no password may be kept (G17).
    """
    address = account_of(name)
    return None if address is None or ("." not in address.domain and address.domain not in tenants) else address


def account_of(name: str) -> Address | None:
    """The account that logs in as `name`, if it could be one's. None has a space in its name."""
    try:
        return parse_address(name)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client is: its address, and the networks of it that are counted."""

    address: IPv4Address | IPv6Address
    subjects: tuple[Subject, ...]

    @property
    def name(self) -> str:
        """Its narrowest network."""
        return self.subjects[0].name

    def is_among(self, networks: tuple[Network, ...]) -> bool:
        """Whether it is in one of these."""
        return any(self.address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Ground:
    """What some rules make of a place."""

    name: str
    counted: tuple[Subject, ...]
    """What of it is counted."""
    anybodys: bool
    """Whether a client there may be anybody."""


def ground_of(rules: Rules, client: str) -> Ground:
    """What `rules` make of the place of a client with this address."""
    place = place_of(client)
    anybodys = place.is_among(rules.proxies)
    shared = anybodys or place.is_among(rules.exempt)
    counted = () if shared else tuple(each for each in place.subjects if each.kind in rules.counted)
    return Ground(place.name, counted, anybodys)


def place_of(client: str) -> Place:
    """Where the client with this address is; one of IPv4 mapped into IPv6 is IPv4's."""
    address = ip_address(client.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        near, far = (str(ip_network((address, bits), strict=False)) for bits in (64, 48))
        return Place(address, (Subject(Kind.ADDRESS, near), Subject(Kind.NETWORK, far)))
    plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    return Place(plain, (Subject(Kind.ADDRESS, str(plain)),))
