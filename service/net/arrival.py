"""From an accepted socket to a connection that asyncio drives: the PROXY header, the peer, the handshake.

Owns the order and the time limits of setting up. The header is read from the bare socket, octet-exact, before
any transport exists: so whatever follows it (a ClientHello in the same segment) is still in the kernel when the
handshake begins. Refuses to know who is let in; admission and trust are the listener's.
RFC 8314 §3.1 (TLS first, then the greeting), PROXY protocol §2.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from service.net.connection import Connection
from service.net.door import Remote
from service.net.peer import Peer, TlsFacts, TlsMode
from service.net.tls import HANDSHAKE_SECONDS
from service.net.tls_opening import Opening
from service.protocol.proxy import Proxied, ProxyError, octets_wanted, parse, plain_address, whole_octets

Network = IPv4Network | IPv6Network
Connected = Callable[[Exception | None], object]
"""Told that asyncio drives a connection, or why it doesn't."""

PEEKED_OCTETS = 512
"""Enough for the headers that balancers send; longer ones are waited for."""
REMEMBERED = 1024
"""Addresses whose usual form is remembered."""
FACTS = 256
"""What balancers say of so many kinds of TLS is kept once."""
_TOO_OLD = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"})


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listener as the settings describe it; `port` 0 takes a free one, host "*" every IPv4 and IPv6 address."""

    name: str
    host: str
    port: int
    tls: TlsMode = TlsMode.NONE
    proxy_protocol: bool = False
    """Whether every connection begins with a PROXY header; there is no guessing."""
    trusted: tuple[Network, ...] = ()
    """Who may send a PROXY header; others are closed."""
    backlog: int = 1024
    reuse_port: bool = False
    """Whether several processes listen on this port together."""
    ahead: int | None = None
    """Octets that the kernel holds of each connection before they are read; None leaves it to the kernel."""


@dataclass(frozen=True, slots=True)
class SetupSeconds:
    """Time limits of setting a connection up."""

    # PROXY §2: "at least 3 seconds to cover a TCP retransmit"
    proxy: float = 5.0
    handshake: float = HANDSHAKE_SECONDS


class Arrival:
    """Holds a place, and the socket until a transport owns it, while a connection is set up."""

    __slots__ = ("_sock", "connection", "given_up", "opening", "remote", "task")

    authenticated = False

    def __init__(self, sock: socket.socket, remote: Remote) -> None:
        self.remote = remote
        self.task: asyncio.Task[None] | None = None
        """Waits for the header."""
        self.connection: Connection | None = None
        """What waits for nothing but its transport."""
        self.opening: Opening | None = None
        """Its handshake."""
        self.given_up = False
        self._sock: socket.socket | None = sock

    @property
    def sock(self) -> socket.socket:
        """The accepted socket, not yet handed over."""
        if self._sock is None:
            raise OSError("the socket was handed over")
        return self._sock

    def hand_over(self) -> socket.socket:
        """The socket, whose closing is the taker's business from now on."""
        sock, self._sock = self.sock, None
        return sock

    def close(self) -> None:
        """Close the socket if it wasn't handed over."""
        if self._sock is not None:
            self._sock.close()

    def shed(self) -> None:
        """Make room: give up, with a word where one can be said in clear."""
        if self.connection is not None:
            self.connection.shed()
        else:
            self._give_up()

    def end(self) -> None:
        """Give up without a word."""
        if self.connection is not None:
            self.connection.end()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self.given_up = True
        if self.opening is not None:
            self.opening.abort()
        if self.task is not None:
            self.task.cancel()


def is_trusted(spec: ListenerSpec, address: str) -> bool:
    """Whether `address` may connect to a listener that believes PROXY headers."""
    # PROXY §2: "The receiver SHOULD ensure proper access filtering so that only trusted proxies are
    # allowed to use this protocol."
    plain = ip_address(plain_address(address))
    return any(plain in network for network in spec.trusted)


def header_at_once(sock: socket.socket) -> Proxied | None:
    """The PROXY header, where all of it has come by now, as it nearly always has; else None, and nothing is read.

    Raises ProxyError, OSError.
    """
    try:
        octets = whole_octets(sock.recv(PEEKED_OCTETS, socket.MSG_PEEK))
    except BlockingIOError:
        return None
    return parse(sock.recv(octets)) if octets else None


async def read_proxy_header(sock: socket.socket, seconds: float) -> Proxied:
    """The PROXY header at the start of `sock`, a non-blocking socket; not one octet after it is read.

    Raises ProxyError, TimeoutError when it isn't whole within `seconds`, OSError.
    """
    loop = asyncio.get_running_loop()
    header = b""
    async with asyncio.timeout(seconds):
        while wanted := octets_wanted(header):
            piece = await loop.sock_recv(sock, wanted)
            if not piece:
                raise ProxyError("closed before the header was whole")
            header += piece
    return parse(header)


def make_peer(spec: ListenerSpec, remote: tuple[str, int], proxied: Proxied) -> Peer:
    """Who the client is, by the header if one told it, else by the socket."""
    address, port = proxied.source or (_plain(remote[0]), remote[1])
    tls = _facts(proxied.tls.version, proxied.tls.cipher, proxied.authority) if proxied.tls else None
    private = spec.tls is TlsMode.IMPLICIT or _private_in_front(spec, proxied)
    may_start_tls = spec.tls is TlsMode.STARTTLS and not private
    return Peer(address, port, spec.name, tls, private, may_start_tls)


_plain = lru_cache(REMEMBERED)(plain_address)


@lru_cache(FACTS)
def _facts(version: str, cipher: str, server_name: str) -> TlsFacts:
    """What a balancer said, kept once for all whom it says it of."""
    return TlsFacts(version, cipher, server_name or None)


def _private_in_front(spec: ListenerSpec, proxied: Proxied) -> bool:
    """Whether TLS ended in front of us. A header that states clear text or old TLS outweighs the settings (G12)."""
    if proxied.cleartext or (proxied.tls and proxied.tls.version in _TOO_OLD):
        return False
    return spec.tls is TlsMode.TERMINATED or proxied.tls is not None


def connect(protocol: asyncio.Protocol, sock: socket.socket, connected: Connected) -> None:
    """Let asyncio drive `protocol` over `sock`: a connection, or its opening.

    `connected` hears of it, in a later round of the event loop or at once where there is an error. Nothing gives this
    up: uvloop would close the transport without telling the protocol. Whoever wants no connection tells the protocol.
    """
    # Without a task, which would take two rounds more and cost as much as all the rest.
    _go_on(asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock), connected)


def _go_on(work: Coroutine[Any, Any, object], connected: Connected, _: object = None) -> None:
    """Take `work` to its next wait, which is the only one, or to its end."""
    try:
        waiter: asyncio.Future[object] = work.send(None)
    except StopIteration:
        connected(None)
    except Exception as error:
        connected(error)
    else:
        waiter.add_done_callback(partial(_go_on, work, connected))
