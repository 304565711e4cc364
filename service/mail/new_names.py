"""What the name of a maildrop or alias that is to be may have.

Owns why an address is refused as a new name. Refuses to judge names that are there: rules that came after them leave
them as they are.
RFC 4616 §2 (what a login name may not have).
"""

from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.saslprep import mapped

JOINERS = "\u200c\u200d"
"""Persian and the languages of India write words with them."""
MOST_OCTETS = 255
"""Of a login name (RFC 4616 §2). RFC 5321 §4.5.3.1.3 has no mail to a longer one: a path has 256 with its < and >."""


def unfit_alias(address: Address) -> Refusal | None:
    """Why no alias is to be called `address`; None if it may."""
    if all(character.isprintable() or character in JOINERS for character in address.local):
        return None
    return Refusal(Reason.INVALID, "the name of a maildrop or alias has only characters that can be seen")


def unfit_maildrop(address: Address) -> Refusal | None:
    """Why no maildrop is to be called `address`; None if it may."""
    if refusal := unfit_alias(address):
        return refusal
    if len(str(address).encode()) > MOST_OCTETS:
        too_long = f"a login name has at most {MOST_OCTETS} octets, nobody could log in under this one"
        return Refusal(Reason.INVALID, too_long)
    # RFC 4616 §2: "if preparation fails or results in an empty string, verification SHALL fail."
    try:
        mapped(address.local)
    except ValueError:
        prohibited = "a login may not have such a character (RFC 4013), nobody could log in under this name"
        return Refusal(Reason.INVALID, prohibited)
    return None
