"""Verifiers that cost nothing, so that tests may log in by the thousand.

Owns the twin of `stores.passwords`. Refuses to protect anything: a verifier shows its password.
"""

PREFIX = "$plain$"
MAX_PASSWORD_OCTETS = 255


class MemoryPasswordHashes:
    """Implements `mail.ports.PasswordHashes`."""

    async def verify(self, verifier: str | None, password: str) -> bool:
        """Whether `password` matches."""
        return verifier == PREFIX + password and len(password.encode()) <= MAX_PASSWORD_OCTETS

    async def hash(self, password: str) -> str:
        """A verifier that shows the password."""
        return PREFIX + password
