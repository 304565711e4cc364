"""What the line at a session's end says of its connection, whichever protocol it spoke.

Owns that what isn't known is left out. Refuses to know the log.
"""

from service.net.peer import Peer
from service.telemetry.cleaning import quoted


def line_of(protocol: str, peer: Peer, end: str) -> str:
    """Members of the line of a session that `peer` had; its protocol adds what it knows. `end`: an `Ending`'s value."""
    line = f'"protocol":"{protocol}","client":{quoted(peer.address)},"end":"{end}"'
    tls = peer.tls
    if tls is not None:
        line += f',"tls":{quoted(tls.version)},"cipher":{quoted(tls.cipher)}'
        if tls.server_name is not None:
            line += f',"server_name":{quoted(tls.server_name)}'
    return line
