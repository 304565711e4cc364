"""Users that a system of the provider's own keeps, so that they need not be copied.

Owns which tenant's logins go there, what bounds the asking, and how a maildrop comes to be for somebody who has none
yet. Refuses to know any vendor: `stores/directories` does.
"""

from service.mail.outside.accounts import OutsideAccounts
from service.mail.outside.directories import Directories
from service.mail.outside.guard import Bounds, Guard
from service.mail.outside.vouching import Vouching

__all__ = ["Bounds", "Directories", "Guard", "OutsideAccounts", "Vouching"]
