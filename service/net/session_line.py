"""What the line at a session's end says of its connection, whichever protocol it spoke.

Owns that what isn't known is left out. Refuses to know the log.
"""

from service.net.peer import Peer
from service.telemetry.logs import SessionLine


def line_of(protocol: str, listener: str, peer: Peer, end: str) -> SessionLine:
    """The line of a session that `peer` had there; its protocol adds what it knows."""
    line: SessionLine = {"protocol": protocol, "listener": listener, "client": peer.address, "end": end}
    tls = peer.tls
    if tls is not None:
        line["tls"], line["cipher"] = tls.version, tls.cipher
        if tls.server_name is not None:
            line["server_name"] = tls.server_name
    return line
