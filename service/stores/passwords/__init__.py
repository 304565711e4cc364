"""Password verifiers, computed off the event loop.

Owns the schemes, their costs and the bounded queue before them; implements `mail.ports.PasswordHashes`.
Refuses to know whose password it is.
"""

from service.stores.passwords.argon2 import COSTS, Cost
from service.stores.passwords.hashing import Argon2Hashes

__all__ = ["COSTS", "Argon2Hashes", "Cost"]
