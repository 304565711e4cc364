"""Verifiers that cost nothing, so that tests may log in by the thousand.

Owns the twin of `stores.passwords`. Refuses to protect anything: a verifier shows its password.
"""

from service.model.refusal import Reason, Refusal

PREFIX = "$plain$"
OLD = "$old$"
"""How the verifiers of another system begin."""
MAX_PASSWORD_OCTETS = 255


class MemoryPasswordHashes:
    """Implements `mail.ports.PasswordHashes`."""

    async def verify(self, verifier: str | None, password: str) -> bool:
        """Whether `password` matches."""
        return verifier in (PREFIX + password, OLD + password) and len(password.encode()) <= MAX_PASSWORD_OCTETS

    async def hash(self, password: str) -> str:
        """A verifier that shows the password."""
        return PREFIX + password

    def current(self, verifier: str) -> bool:
        """Whether this one would make it so."""
        return verifier.startswith(PREFIX)

    def adopt(self, verifier: str) -> str:
        """A verifier that begins as one does. Raises Refusal(INVALID) for any other."""
        if not verifier.startswith((PREFIX, OLD)):
            raise Refusal(Reason.INVALID, "unknown scheme")
        return verifier
