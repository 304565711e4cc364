"""PLAIN: authzid, name and password in one response.

Owns the message's grammar. Refuses to know who exists and who may act for whom: an authzid
other than the name itself is handed on for the login to refuse.
RFC 4616 §2.
"""

from service.protocol.sasl.exchange import Mechanism, Move, Outside, Verify
from service.protocol.sasl.proof import password_proof


class Plain:
    """One PLAIN exchange."""

    def __init__(self, _outside: Outside) -> None:
        pass

    def respond(self, response: bytes) -> Move:
        """Verify what the client sent; None when it breaks the grammar.

        RFC 4616 §2: "message = [authzid] UTF8NUL authcid UTF8NUL passwd", each up to 255 octets.
        """
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Verify(None)
        authzid, name, secret = parts
        return Verify(password_proof(name, secret, authzid))


MECHANISM = Mechanism("PLAIN", client_first=True, begin=Plain, rank=80)
