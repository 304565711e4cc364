"""One listener and the connections that came through it, from start to drained.

Owns who is let in and what becomes of a set-up that fails: nothing that one arrival does ends the accepting
of others. Refuses to know what the connections speak, and how a header or a handshake is read.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache, partial

from service.net.admission import Admission, Guest, MadeRoom, Ticket
from service.net.arrival import (
    FACTS,
    Arrival,
    Coming,
    ListenerSpec,
    SetupSeconds,
    connect,
    first_octets,
    is_trusted,
    read_proxy_header,
    socket_address,
    way_of,
)
from service.net.connection import Connection, Factory
from service.net.door import Door, Remote, listen
from service.net.handshakes import Handshakes
from service.net.peer import Peer, TlsMode
from service.net.tls import SHUTDOWN_SECONDS
from service.net.tls_opening import Opening
from service.protocol.proxy import Proxied, ProxyError, at_start


class Rejection(Enum):
    """Why an arrival got no further; a label value of the metrics."""

    UNTRUSTED = "untrusted"
    PROXY_HEADER = "proxy_header"
    HANDSHAKE = "handshake"
    FULL = "full"
    SHED = "shed"
    """It had a place, didn't prove who it is, and had to make room for the next one."""
    PER_ADDRESS = "per_address"
    EXHAUSTED = "exhausted"


BALANCERS = 1024
"""Addresses of which it is remembered whether they may send PROXY headers."""
_COMING = Coming()
_NO_HEADER = Proxied()
Rejected = Callable[[Rejection, str, str], object]
"""Told why, the address of the socket's peer (empty if unknown), and private detail for the log."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What a listener does with those who arrive. `factory` makes the connections; the rest may be shared."""

    factory: Factory
    admission: Admission
    context: ssl.SSLContext | None = None
    seconds: SetupSeconds = field(default_factory=SetupSeconds)
    rejected: Rejected = lambda _why, _address, _detail: None
    handshakes: Handshakes = field(default_factory=Handshakes)


class Listener:
    """Listens from `start` to `drain`. Raises ValueError when the spec needs a certificate that isn't there."""

    def __init__(self, spec: ListenerSpec, reception: Reception) -> None:
        if spec.tls in {TlsMode.IMPLICIT, TlsMode.STARTTLS} and reception.context is None:
            raise ValueError(f"listener {spec.name} needs a certificate")
        self.spec = spec
        self._reception = reception
        self._admission = reception.admission
        self._told: MadeRoom = self._made_room
        """One for all its tickets."""
        self._is_trusted = lru_cache(BALANCERS)(partial(is_trusted, spec))
        self._way_of = lru_cache(FACTS)(partial(way_of, spec))
        self._context = reception.context if spec.tls is TlsMode.IMPLICIT else None
        """For the handshakes with which connections begin here, if they do."""
        self._connections: set[Connection] = set()
        self._arrivals: set[Arrival] = set()
        self._draining = False
        self._door: Door | None = None
        self._emptied = asyncio.Event()

    @property
    def connections(self) -> Collection[Connection]:
        """Those that were made and aren't gone, without those whose handshake isn't over."""
        return self._connections

    def start(self) -> int:
        """Bind, and accept from now on, on the running event loop; the port. Raises OSError."""
        spec = self.spec
        listening = listen(spec.host, spec.port, spec.backlog, spec.reuse_port, spec.ahead)
        self._door = Door(listening, self._arrive, self._exhausted)
        self._door.open()
        return self._door.port

    def drain(self) -> None:
        """Accept nobody any more, and drain every connection, those still being set up included."""
        # Those whom the kernel has queued are set up as the door closes.
        self._draining = True
        if self._door is not None:
            self._door.close()
        for connection in tuple(self._connections):
            connection.drain()

    def end(self) -> None:
        """Accept nobody any more, give up set-ups and end every connection."""
        if self._door is not None:
            self._door.close()
        for arrival in tuple(self._arrivals):
            arrival.end()
        for connection in tuple(self._connections):
            connection.end()

    async def wait_closed(self) -> None:
        """Return once no connection and no set-up is left."""
        while self._arrivals or self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def _exhausted(self, error: OSError) -> None:
        self._reception.rejected(Rejection.EXHAUSTED, "", str(error))

    def _made_room(self, guest: Guest) -> None:
        # The line at a session's end says whose it was.
        address = guest.remote[0] if isinstance(guest, Arrival) else ""
        self._reception.rejected(Rejection.SHED, address, "the oldest that hadn't logged in made room")

    def _arrive(self, sock: socket.socket, remote: Remote) -> None:
        proxied = self.spec.proxy_protocol
        if proxied and not self._is_trusted(remote[0]):
            sock.close()
            self._reception.rejected(Rejection.UNTRUSTED, remote[0], "may not send a PROXY header")
            return
        ticket = self._admission.enter(_COMING, self._told)
        if ticket is None or ticket.refused:
            self._reception.rejected(Rejection.FULL, remote[0], "")
            if ticket is None:
                sock.close()
                return
        try:
            if proxied:
                self._read_header(sock, remote, ticket)
            else:
                self._set_up(sock, remote, ticket, _NO_HEADER, b"")
        except Exception as error:
            # Raised on, it would end a drain's accepting, and leave the door open.
            self._turn_away(sock, remote, ticket, error)

    def _turn_away(self, sock: socket.socket, remote: Remote, ticket: Ticket, error: Exception) -> None:
        """Who came can't be let in."""
        if isinstance(error, ProxyError | OSError):
            self._reception.rejected(Rejection.PROXY_HEADER, remote[0], repr(error))
        else:
            _report(error)
        sock.close()
        self._admission.leave(ticket)

    def _read_header(self, sock: socket.socket, remote: Remote, ticket: Ticket) -> None:
        """Let in whoever the header tells of, once it is there, as it nearly always is."""
        came = first_octets(sock)
        found = at_start(came)
        if found is None:
            self._await_header(sock, remote, ticket, came)
        else:
            header, octets = found
            self._set_up(sock, remote, ticket, header, came[octets:])

    def _await_header(self, sock: socket.socket, remote: Remote, ticket: Ticket, came: bytes) -> None:
        arrival = ticket.guest = Arrival(remote, sock)
        self._arrivals.add(arrival)
        arrival.task = asyncio.get_running_loop().create_task(self._after_header(sock, arrival, ticket, came))
        arrival.task.add_done_callback(partial(self._header_awaited, arrival, ticket))

    def _header_awaited(self, arrival: Arrival, ticket: Ticket, task: "asyncio.Task[None]") -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._failed(arrival, ticket, error)

    async def _after_header(self, sock: socket.socket, arrival: Arrival, ticket: Ticket, came: bytes) -> None:
        try:
            header = await read_proxy_header(sock, came, self._reception.seconds.proxy)
        except (ProxyError, OSError) as error:
            self._reject(Rejection.PROXY_HEADER, arrival, ticket, error)
        else:
            self._set_up(sock, arrival.remote, ticket, header, b"")
            self._arrivals.discard(arrival)
            self._look_if_empty()

    def _set_up(self, sock: socket.socket, remote: Remote, ticket: Ticket, header: Proxied, came: bytes) -> None:
        """Let in whoever this header tells of, of whom so much `came` after it."""
        source, told = header
        address, port = source or (socket_address(remote[0]), remote[1])
        connection = self._make(Peer(address, port, self.spec.name, *self._way_of(told)), remote, ticket)
        if self._context is None:
            self._keep(connection, ticket)
            connect(connection, sock, partial(self._unconnected, connection, remote, ticket), came)
        else:
            # RFC 8314 §3.1: "When a TCP connection is established for the "pop3s" service (default port 995), a TLS
            # handshake begins immediately."
            opening = self._opening(connection, address, self._context)
            arrival = ticket.guest = Arrival(remote, opening=opening)
            opening.begin(self._reception.seconds.handshake, partial(self._secured, connection, arrival, ticket))
            self._arrivals.add(arrival)
            connect(opening, sock, partial(self._failed, arrival, ticket), came)

    def _unconnected(self, connection: Connection, remote: Remote, ticket: Ticket, error: Exception) -> None:
        """There will be no transport."""
        if isinstance(error, OSError):
            self._reception.rejected(Rejection.HANDSHAKE, remote[0], repr(error))
        else:
            _report(error)
        self._forget(connection, ticket)

    def _failed(self, arrival: Arrival, ticket: Ticket, error: BaseException) -> None:
        """What a set-up waited for came to nothing."""
        if arrival.opening is not None:
            arrival.opening.abort()
        if isinstance(error, OSError):
            self._reject(Rejection.HANDSHAKE, arrival, ticket, error)
            return
        self._leave(arrival, ticket)
        if not isinstance(error, asyncio.CancelledError):
            _report(error)

    def _secured(self, connection: Connection, arrival: Arrival, ticket: Ticket, error: OSError | None) -> bool:
        """A handshake came to its end."""
        if error is None:
            self._arrivals.discard(arrival)
            self._keep(connection, ticket)
            if self._draining:
                connection.drain()
        else:
            self._reject(Rejection.HANDSHAKE, arrival, ticket, error)
        return True

    def _opening(self, connection: Connection, client: str, context: ssl.SSLContext) -> Opening:
        return Opening(connection, context, partial(self._reception.handshakes.begin, client), SHUTDOWN_SECONDS)

    def _reject(self, why: Rejection, arrival: Arrival, ticket: Ticket, error: Exception) -> None:
        if arrival in self._arrivals:
            if not arrival.given_up:
                self._reception.rejected(why, arrival.remote[0], repr(error))
            self._leave(arrival, ticket)

    def _leave(self, arrival: Arrival, ticket: Ticket) -> None:
        """An arrival is over; its place is given back unless a connection has it."""
        arrival.close()
        self._arrivals.discard(arrival)
        if ticket.guest is arrival:
            self._admission.leave(ticket)
        self._look_if_empty()

    def _make(self, peer: Peer, remote: Remote, ticket: Ticket) -> Connection:
        connection = self._reception.factory(peer)
        if peer.may_start_tls:
            connection.in_turn = partial(self._reception.handshakes.begin, peer.address)
        if not self._admission.claim(ticket, peer.address):
            self._reception.rejected(Rejection.PER_ADDRESS, remote[0], f"{peer.address} has as many as it may")
            connection.shed()
        if ticket.refused:
            connection.shed()
        if self._draining:
            connection.drain()
        return connection

    def _keep(self, connection: Connection, ticket: Ticket) -> None:
        ticket.guest = connection
        self._connections.add(connection)
        connection.when_gone(partial(self._forget, connection, ticket))

    def _forget(self, connection: Connection, ticket: Ticket) -> None:
        self._connections.discard(connection)
        self._admission.leave(ticket)
        self._look_if_empty()

    def _look_if_empty(self) -> None:
        if not self._connections and not self._arrivals:
            self._emptied.set()


def _report(error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "setting up a connection failed", "exception": error})
