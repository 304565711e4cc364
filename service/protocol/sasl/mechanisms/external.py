"""EXTERNAL: the certificate that the client showed in its TLS handshake says who it is.

Owns which of the certificate's addresses is meant. Refuses to look into a certificate: TLS verified it.
RFC 4422 appendix A; RFC 8314 §4.2 (a certificate never logs in by itself).
"""

from service.model.proof import CertificateProof
from service.protocol.sasl.exchange import Mechanism, Move, Outside, Verify
from service.protocol.sasl.login_name import login_name

EXTERNAL = "EXTERNAL"


class External:
    """One EXTERNAL exchange."""

    def __init__(self, outside: Outside) -> None:
        self._certified = outside.certified

    def respond(self, response: bytes) -> Move:
        """Verify the address that the client names, or the only one in its certificate when it names none."""
        try:
            return Verify(self._proof(response))
        except ValueError:
            return Verify(None)

    def _proof(self, response: bytes) -> CertificateProof:
        # RFC 4422 appendix A.1: an empty authorization identity asks for the one that the external credentials give.
        if not response and len(self._certified) != 1:
            raise ValueError("no address, or several")
        named = login_name(response.decode()) if response else self._certified[0]
        return CertificateProof(named, self._certified)


MECHANISM = Mechanism(EXTERNAL, client_first=True, begin=External, rank=5, everywhere=False)
