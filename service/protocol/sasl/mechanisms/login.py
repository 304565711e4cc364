"""LOGIN: the name, then the password, each asked for.

Owns the two questions that old clients expect word for word. Refuses to know who exists.
draft-murchison-sasl-login-00 §2 (never an RFC, kept for Outlook and devices).
"""

from service.protocol.sasl.exchange import Challenge, Mechanism, Move, Password, Verify

MAX_OCTETS = 255


class Login:
    """One LOGIN exchange."""

    def __init__(self) -> None:
        self._name: bytes | None = None

    def respond(self, response: bytes) -> Move:
        """Ask for the password after the name; then verify both."""
        if self._name is None:
            self._name = response
            return Challenge(b"Password:")
        return Verify(_proof(self._name, response))


def _proof(name: bytes, secret: bytes) -> Password | None:
    if not 0 < len(name) <= MAX_OCTETS or not 0 < len(secret) <= MAX_OCTETS or b"\0" in name + secret:
        return None
    try:
        return Password(name.decode(), secret.decode())
    except UnicodeDecodeError:
        return None


MECHANISM = Mechanism("LOGIN", client_first=False, begin=Login, first_challenge=b"Username:", rank=90)
