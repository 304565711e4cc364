"""A listening socket and the accepting of what knocks at it.

Owns the socket's options and the pauses when descriptors run out. Refuses to know what becomes of an accepted
socket: it hands each one on and can't be stopped by what happens to it.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Self

ACCEPT_BATCH = 4
"""How many are accepted in one round of the event loop: a fifth of a millisecond's work each until they are greeted,
which waits for no turn, as nobody knows yet whose they are. A crowd holds up the sessions for no longer (G16)."""
UNSENT = 256 * 1024
"""Octets that the kernel takes of a connection beyond what is on its way to the client. It would take 4 MB and more for
one that doesn't read, which count against the pod's memory and stand in no budget (G15)."""
EXHAUSTED_PAUSE = 0.25
"""Seconds without accepting after descriptors or memory ran out: the socket stays readable, so we would spin."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 120), (socket.TCP_KEEPINTVL, 30), (socket.TCP_KEEPCNT, 4))

Remote = tuple[Any, ...]
"""The address of a socket's peer, its port, and what else IPv6 has."""


class Plain(socket.socket):
    """A socket whose family and type are numbers, and of those that it accepts too.

    `socket.socket` makes members of enums of them each time it is asked: five times for a connection, which was three
    hundredths of a poll.
    """

    __slots__ = ()
    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]

    def accept(self) -> tuple[Self, Any]:
        """As `socket.socket.accept`, whose own first step this is."""
        descriptor, remote = self._accept()  # type: ignore[attr-defined]
        return type(self)(self.family, self.type, self.proto, fileno=descriptor), remote


class Door:
    """Accepts from `open` to `close`; `arrive` gets each socket, which blocks, and owns it from there on.

    The event loop lets a socket block no more when it takes it, which need not be done twice.
    """

    def __init__(
        self,
        listening: socket.socket,
        arrive: Callable[[socket.socket, Remote], object],
        exhausted: Callable[[OSError], object],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._arrive = arrive
        self._exhausted = exhausted
        self._pause: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that is bound."""
        port: int = self._listening.getsockname()[1]
        return port

    def open(self) -> None:
        """Accept from now on, after a pause too."""
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._accept_some)

    def close(self) -> None:
        """Accept those that the kernel has queued already, which a close would reset, and then nobody any more."""
        if self._listening.fileno() < 0:
            return
        while self._accept_some():
            pass
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()

    def _accept_some(self) -> bool:
        """Accept a batch; whether there may be more."""
        for _ in range(ACCEPT_BATCH):
            try:
                accepted, remote = self._listening.accept()
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(error)
                return False
            self._arrive(accepted, remote)
        return True

    def _rest(self, error: OSError) -> None:
        self._loop.remove_reader(self._listening.fileno())
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.call_later(EXHAUSTED_PAUSE, self.open)
        self._exhausted(error)


def listen(host: str, port: int, backlog: int, reuse_port: bool, ahead: int | None = None) -> socket.socket:
    """A non-blocking socket that listens; host "*" means every IPv4 and IPv6 address. Raises OSError.

    Of each connection the kernel holds about `ahead` octets that weren't read yet; None leaves it the choice.
    """
    if host == "*":
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = Plain(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        if ahead is not None:
            # What is accepted inherits it; the window that is offered first depends on it, so it comes before `listen`.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ahead)
        if _NOTSENT_LOWAT is not None:
            # Accepted sockets have it from the listening one.
            listening.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)
        listening.bind(address)
        listening.listen(backlog)
        listening.setblocking(False)
        _prepare(listening)
    except BaseException:
        listening.close()
        raise
    return listening


def _prepare(listening: socket.socket) -> None:
    """Set what the sockets that are accepted have from the beginning (Linux): at each, it would be five calls."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        listening.setsockopt(socket.IPPROTO_TCP, option, value)
