"""LOGIN: the name, then the password, each asked for.

Owns the two questions that old clients expect word for word. Refuses to know who exists.
draft-murchison-sasl-login-00 §2 (never an RFC, kept for Outlook and devices).
"""

from service.protocol.sasl.exchange import Challenge, Mechanism, Move, Outside, Verify
from service.protocol.sasl.proof import password_proof


class Login:
    """One LOGIN exchange."""

    def __init__(self, _outside: Outside) -> None:
        self._name: bytes | None = None

    def respond(self, response: bytes) -> Move:
        """Ask for the password after the name; then verify both."""
        if self._name is None:
            self._name = response
            return Challenge(b"Password:")
        return Verify(password_proof(self._name, response))


MECHANISM = Mechanism("LOGIN", client_first=False, begin=Login, first_challenge=b"Username:", rank=90)
