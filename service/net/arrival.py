"""From an accepted socket to a connection that asyncio drives: the PROXY header, the peer, the handshake.

Owns the order and the time limits of setting up. The header is read from the bare socket, before any transport
exists. Whatever came with it (a ClientHello in the same segment) is what the connection or its handshake hears first.
Refuses to know who is let in; admission and trust are the listener's.
RFC 8314 §3.1 (TLS first, then the greeting), PROXY protocol §2.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from service.net.door import Remote
from service.net.peer import TlsFacts, TlsMode
from service.net.tls import HANDSHAKE_SECONDS
from service.net.tls_opening import Opening
from service.protocol.proxy import Proxied, ProxyError, Told, octets_wanted, parse, plain_address

Network = IPv4Network | IPv6Network
Failed = Callable[[Exception], object]
"""Told why asyncio doesn't drive a connection."""
Way = tuple[TlsFacts | None, bool, bool]
"""What protects the way to a client: its TLS, whether it is private, and whether it may be made so."""

FIRST_OCTETS = 4096
"""Enough for the headers that balancers send, and a ClientHello with one; what is longer is read on."""
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
    """Holds a place while a header or a handshake is waited for."""

    __slots__ = ("given_up", "opening", "remote", "sock", "task")

    authenticated = False

    def __init__(self, remote: Remote, sock: socket.socket | None = None, opening: Opening | None = None) -> None:
        self.remote = remote
        self.sock = sock
        """What the header is read from, not handed over yet."""
        self.opening = opening
        """The handshake."""
        self.task: asyncio.Task[None] | None = None
        """Waits for the header."""
        self.given_up = False

    def close(self) -> None:
        """Close the socket if it wasn't handed over."""
        if self.sock is not None:
            self.sock.close()

    def shed(self) -> None:
        """Make room, without a word: none can be said in clear yet."""
        self.end()

    def end(self) -> None:
        """Give up without a word."""
        self.given_up = True
        if self.opening is not None:
            self.opening.abort()
        if self.task is not None:
            self.task.cancel()


class Coming:
    """Whoever was accepted in this very step, at the end of which it is known who holds its place."""

    __slots__ = ()

    authenticated = False

    def shed(self) -> None:
        """Nobody makes room in the step in which it comes."""


def is_trusted(spec: ListenerSpec, address: str) -> bool:
    """Whether `address` may connect to a listener that believes PROXY headers."""
    # PROXY §2: "The receiver SHOULD ensure proper access filtering so that only trusted proxies are
    # allowed to use this protocol."
    plain = ip_address(plain_address(address))
    return any(plain in network for network in spec.trusted)


def first_octets(sock: socket.socket) -> bytes:
    """What has come by now: nearly always a whole PROXY header, and no more. Raises OSError."""
    try:
        return sock.recv(FIRST_OCTETS, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


async def read_proxy_header(sock: socket.socket, header: bytes, seconds: float) -> Proxied:
    """The PROXY header of which `header` came. Its rest is read from `sock`, which blocks no more; nothing after it is.

    Raises ProxyError, TimeoutError when it isn't whole within `seconds`, OSError.
    """
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    async with asyncio.timeout(seconds):
        while wanted := octets_wanted(header):
            piece = await loop.sock_recv(sock, wanted)
            if not piece:
                raise ProxyError("closed before the header was whole")
            header += piece
    return parse(header)


socket_address = lru_cache(REMEMBERED)(plain_address)
"""The address of a socket's peer in its usual form."""


def way_of(spec: ListenerSpec, told: Told) -> Way:
    """What protects the way to a client of this listener whose header says so much."""
    private = spec.tls is TlsMode.IMPLICIT or _private_in_front(spec, told)
    facts = _facts(told.tls.version, told.tls.cipher, told.authority) if told.tls else None
    return facts, private, spec.tls is TlsMode.STARTTLS and not private


@lru_cache(FACTS)
def _facts(version: str, cipher: str, server_name: str) -> TlsFacts:
    """What a balancer said, kept once for all whom it says it of."""
    return TlsFacts(version, cipher, server_name or None)


def _private_in_front(spec: ListenerSpec, told: Told) -> bool:
    """Whether TLS ended in front of us. A header that states clear text or old TLS outweighs the settings (G12)."""
    if told.cleartext or (told.tls and told.tls.version in _TOO_OLD):
        return False
    return spec.tls is TlsMode.TERMINATED or told.tls is not None


def connect(protocol: asyncio.Protocol, sock: socket.socket, failed: Failed, came: bytes = b"") -> None:
    """Let asyncio drive `protocol` over `sock`: a connection, or its opening. The first that it hears is what `came`.

    `failed` hears of an error, at once or in a later round of the event loop. Nothing gives this up: uvloop would close
    the transport without telling the protocol. Whoever wants no connection tells the protocol.
    """
    # Without a task, which would take two rounds more and cost as much as all the rest.
    loop = asyncio.get_running_loop()
    if _go_on(loop.connect_accepted_socket(lambda: protocol, sock), failed) and came:
        # That `connection_made` be called is in line already, and nothing is read before it was.
        loop.call_soon(protocol.data_received, came)


def _go_on(work: Coroutine[Any, Any, object], failed: Failed, _: object = None) -> bool:
    """Take `work` to its next wait, which is the only one, or to its end; whether it waits."""
    try:
        waiter: asyncio.Future[object] = work.send(None)
    except StopIteration:
        pass
    except Exception as error:
        failed(error)
    else:
        waiter.add_done_callback(partial(_go_on, work, failed))
        return True
    return False
