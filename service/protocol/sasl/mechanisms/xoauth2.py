"""XOAUTH2: OAUTHBEARER's forerunner, which Google and Microsoft made and many clients know alone.

Owns the message's grammar. Refuses to know whether the token is good.
Never an RFC; where it is silent, it is read as RFC 7628 §3.1 is.
"""

from service.model.proof import BearerProof
from service.protocol.sasl.bearer import pairs_of, token_of, xoauth2_refusal
from service.protocol.sasl.exchange import Mechanism, Move, Outside, Verify
from service.protocol.sasl.login_name import login_name

XOAUTH2 = "XOAUTH2"


class XOAuth2:
    """One XOAUTH2 exchange."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def respond(self, response: bytes) -> Move:
        """Verify what the client sent; None when it breaks the grammar."""
        try:
            proof = _proof(response.decode())
        except ValueError:
            proof = None
        return Verify(proof, xoauth2_refusal(self._outside))


def _proof(text: str) -> BearerProof:
    user, _, rest = text.partition("\x01")
    name = user.removeprefix("user=")
    if name == user:
        raise ValueError("no name")
    return BearerProof(login_name(name), token_of(pairs_of(rest).get("auth", "")))


MECHANISM = Mechanism(XOAUTH2, client_first=True, begin=XOAuth2, rank=40, everywhere=False)
