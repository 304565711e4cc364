"""How many connections a process holds, and who goes when there is no more room (G15).

Owns the count and the order: the oldest that has not proved who it is goes first, then new ones are refused.
Every operation is O(1). Refuses to know sockets and words: whoever must go is told to `shed()`.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Protocol


class Guest(Protocol):
    """Whoever holds a place: a connection, or a socket on its way to become one."""

    @property
    def authenticated(self) -> bool:
        """Whether it has proved who it is; this never goes back."""

    def shed(self) -> None:
        """Go, with a polite word if there is a way to say it."""


MadeRoom = Callable[[Guest], object]
"""Told of a guest that must go before it proved who it is."""


class Ticket:
    """A place in the process, kept from accept to the end."""

    __slots__ = ("address", "guest", "made_room", "refused")

    def __init__(self, guest: Guest, made_room: MadeRoom, refused: bool) -> None:
        self.guest = guest
        self.made_room = made_room
        self.refused = refused
        """There was no place: the guest may stay only as long as it takes to say so."""
        self.address: str | None = None


class Admission:
    """At most `limit` connections, and `limit // 8 + 16` more that are being told to go.

    `per_address`: at most so many from one IPv4 address or one IPv6 /64; None for no such limit.
    """

    def __init__(self, limit: int, per_address: int | None = None) -> None:
        self._limit = limit
        self._margin = limit // 8 + 16
        self._per_address = per_address
        self._addresses: Counter[str] = Counter()
        self._unproved: OrderedDict[Ticket, None] = OrderedDict()
        self._proved: set[Ticket] = set()
        self._leaving: set[Ticket] = set()

    @property
    def held(self) -> int:
        """How many places are taken, without those that are leaving."""
        return len(self._unproved) + len(self._proved)

    @property
    def leaving(self) -> int:
        """How many were told to go and have not gone yet."""
        return len(self._leaving)

    def enter(self, guest: Guest, made_room: MadeRoom) -> Ticket | None:
        """A place for `guest`; a `refused` one if it must be told to go; None to close it without a word.

        May shed the oldest unauthenticated guest to make room; `made_room` hears of it if that is this one, some day.
        """
        # As `held` is; each one who comes is asked this.
        if len(self._unproved) + len(self._proved) >= self._limit:
            if self.leaving >= self._margin:
                return None
            if not self._shed_oldest():
                ticket = Ticket(guest, made_room, refused=True)
                self._leaving.add(ticket)
                return ticket
        ticket = Ticket(guest, made_room, refused=False)
        self._unproved[ticket] = None
        return ticket

    def claim(self, ticket: Ticket, address: str) -> bool:
        """Count the guest under the client's `address`; whether that address has a place left."""
        if self._per_address is None:
            return True
        ticket.address = _network_of(address)
        self._addresses[ticket.address] += 1
        return self._addresses[ticket.address] <= self._per_address

    def leave(self, ticket: Ticket) -> None:
        """Give the place back; no effect the second time."""
        if ticket in self._unproved:
            del self._unproved[ticket]
        else:
            self._proved.discard(ticket)
            self._leaving.discard(ticket)
        if ticket.address is not None:
            self._addresses[ticket.address] -= 1
            if not self._addresses[ticket.address]:
                del self._addresses[ticket.address]
            ticket.address = None

    def _shed_oldest(self) -> bool:
        while self._unproved:
            ticket, _ = self._unproved.popitem(last=False)
            if ticket.guest.authenticated:
                self._proved.add(ticket)
                continue
            self._leaving.add(ticket)
            ticket.made_room(ticket.guest)
            ticket.guest.shed()
            return True
        return False


@lru_cache(4096)
def _network_of(address: str) -> str:
    parsed = ip_address(address.partition("%")[0])
    return address if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))
