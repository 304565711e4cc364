"""What the listener, the admission and the drain ask of a connection, whatever it speaks.

Owns the contract and the moment of being gone. Refuses to know POP3 and LMTP: each subclass refuses
in its own words. The listener's factory makes one from a `Peer`; asyncio then drives it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from service.net.peer import Peer
from service.net.tls_opening import InTurn, at_once


class Connection(asyncio.Protocol, ABC):
    """One client's connection. Its methods return at once and may be called twice, or after the end.

    `shed`, `drain` and `end` may be called before `connection_made` too: then they hold from there on,
    and what they say takes the greeting's place.
    """

    authenticated: bool = False
    """Whether the client has proved who it is; such a connection is never shed."""
    in_turn: InTurn = staticmethod(at_once)
    """When the handshake that follows STLS or STARTTLS computes."""
    _gone: bool = False
    _farewells: tuple[Callable[[], object], ...] = ()
    """What is called once it is gone."""

    @abstractmethod
    def shed(self) -> None:
        """Make room: refuse in the protocol's own words, as transient, and close."""

    @abstractmethod
    def drain(self) -> None:
        """Finish what is in the middle, then close with a polite refusal; at once if nothing is."""

    @abstractmethod
    def end(self) -> None:
        """Close now, without UPDATE and without another octet (RFC 1939 §3)."""

    def gone(self) -> None:
        """Say that the transport is closed and everything held (lease, tasks) given back: the subclass's last act."""
        self._gone = True
        farewells, self._farewells = self._farewells, ()
        for call in farewells:
            call()

    def when_gone(self, call: Callable[[], object]) -> None:
        """Have `call` called once this connection is gone; at once if it is already."""
        if self._gone:
            call()
        else:
            self._farewells = (*self._farewells, call)

    async def wait_closed(self) -> None:
        """Return once this connection is gone."""
        closed = asyncio.Event()
        self.when_gone(closed.set)
        await closed.wait()


Factory = Callable[[Peer], Connection]
"""Makes the connection of one client, on the event loop, before `connection_made`."""
