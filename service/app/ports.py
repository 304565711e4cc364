"""Ports that several processes share.

Owns the reservation: a bound socket that doesn't listen keeps the port for the workers, between two of them too,
and turns port 0 into one number for all. Refuses to accept.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence

from service.settings.listening import ListenerSettings


@contextlib.contextmanager
def reserved(
    listeners: Sequence[ListenerSettings], protocol: str, *, shared: bool = True
) -> Iterator[list[ListenerSettings]]:
    """The listeners of `protocol` with their ports reserved, for other processes to share if `shared`.

    Raises OSError naming a port that is taken.
    """
    with contextlib.ExitStack() as sockets:
        kept = []
        for listener in listeners:
            if listener.protocol == protocol:
                held = sockets.enter_context(contextlib.closing(_bound(listener, shared)))
                kept.append(listener.model_copy(update={"port": held.getsockname()[1]}))
        yield kept


def _bound(listener: ListenerSettings, shared: bool) -> socket.socket:
    everywhere = listener.host == "*"
    host = listener.host if not everywhere else "::" if socket.has_dualstack_ipv6() else ""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not everywhere)
    try:
        held.bind((host, listener.port))
    except OSError as error:
        held.close()
        raise OSError(error.errno, taken(listener.name, listener.port, error)) from None
    return held


def taken(name: str, port: int, error: OSError) -> str:
    """Why the listener can't have its port, for a person."""
    return f"listener {name}: port {port}: {error.strerror or error}"
