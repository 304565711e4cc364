"""OAUTHBEARER: a token that a tenant's issuer gave the client, shown for an address.

Owns the message's grammar and what it must fit. Refuses to know whether the token is good.
RFC 7628 §3.1, §3.2 and §3.2.3; RFC 5801 §4 (the header before the pairs).
"""

import re

from service.model.proof import BearerProof
from service.protocol.sasl.bearer import SEPARATOR, oauthbearer_refusal, pairs_of, token_of
from service.protocol.sasl.exchange import Mechanism, Move, Outside, Verify
from service.protocol.sasl.saslname import SASLNAME, unescaped

OAUTHBEARER = "OAUTHBEARER"
# RFC 7628 §3.1: the message begins with a header of RFC 5801 §4. There is no channel binding here, so `p` fails.
# Deviates: the header's authorization identity may be left out in RFC 7628 and is asked for here, because it tells
# whose issuers are to be asked before anything of the token is believed. Every client known to us sends it.
_HEADER = re.compile(rf"[ny],a=({SASLNAME}),")


class OAuthBearer:
    """One OAUTHBEARER exchange."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def respond(self, response: bytes) -> Move:
        """Verify what the client sent; None when it breaks the grammar or speaks of another server.

        RFC 7628 §3.2.3: a client that is told of a failure answers with a dummy response, and then the exchange fails.
        """
        try:
            proof = self._proof(response.decode())
        except ValueError:
            proof = None
        return Verify(proof, oauthbearer_refusal(self._outside))

    def _proof(self, text: str) -> BearerProof:
        header, _, pairs = text.partition(SEPARATOR)
        found = _HEADER.fullmatch(header)
        if found is None:
            raise ValueError("no header, or nobody to act for")
        told = pairs_of(pairs)
        self._check_place(told)
        return BearerProof(unescaped(found[1]), token_of(told.get("auth", "")))

    def _check_place(self, told: dict[str, str]) -> None:
        """Raises ValueError when the client means another host or port than it reached.

        RFC 7628 §3.2: what the client says of them must match what is known of them by other means.
        """
        host, port, known = told.get("host"), told.get("port"), self._outside
        if host is not None and known.hosts and host.lower().rstrip(".") not in known.hosts:
            raise ValueError("another host")
        if port is not None and known.ports and port not in map(str, known.ports):
            raise ValueError("another port")


MECHANISM = Mechanism(OAUTHBEARER, client_first=True, begin=OAuthBearer, rank=30, everywhere=False)
