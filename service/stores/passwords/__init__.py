"""Password verifiers, computed off the event loop.

Owns the algorithm, its cost and the bounded queue before it; implements `mail.ports.PasswordHashes`.
Refuses to know whose password it is.
"""

from service.stores.passwords.argon2 import Argon2Hashes, Cost

__all__ = ["Argon2Hashes", "Cost"]
