"""The in-memory twin of issuers: what they say of tokens is what a test told them to.

Owns the same answers as `stores.oidc`. Refuses to know signatures.
RFC 7662 §2.2 (what an issuer says of a token).
"""

from service.mail.claims import Claims
from service.model.issuer import Issuer
from service.model.refusal import Reason, Refusal


class MemoryTokenChecks:
    """Implements `mail.bearer.TokenChecks`."""

    def __init__(self) -> None:
        self.said: dict[str, Claims] = {}
        """What tokens say of themselves."""
        self.good: dict[tuple[str, str], Claims] = {}
        """(an issuer's URL, a token) -> what the issuer vouches for."""
        self.away: set[str] = set()
        """URLs of issuers that can't be reached."""
        self.asked = 0

    def read(self, token: str) -> Claims | None:
        """What the token says of itself."""
        return self.said.get(token)

    async def claims(self, issuer: Issuer, token: str) -> Claims:
        """What the issuer vouches for. Raises Refusal: CREDENTIALS, UNAVAILABLE."""
        self.asked += 1
        if issuer.terms.url in self.away:
            raise Refusal(Reason.UNAVAILABLE, "the issuer is away")
        claims = self.good.get((issuer.terms.url, token))
        if claims is None:
            raise Refusal(Reason.CREDENTIALS, "the issuer doesn't vouch for the token")
        return claims
