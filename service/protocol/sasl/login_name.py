"""Login names as they are looked up.

Owns their bound and what may not be in one. Refuses to know who has it, and to give an address another form: the one in
which addresses are compared is `parse_address`'s alone, or who has mail under a name couldn't log in with it.
RFC 4616 §2, RFC 5802 §5.1, RFC 6532 §3.1.
"""

from service.model.saslprep import mapped, prepare

MAX_OCTETS = 255


def login_name(text: str) -> str:
    """The name in `text`.

    Raises ValueError when it is over 255 octets, or when SASLprep finds a prohibited character in it or leaves nothing.

    RFC 4616 §2: "The SASLprep preparation algorithm is not mandatory so as to allow the server to employ other
    preparation algorithms (including none) when appropriate."
    RFC 5802 §5.1: "the server MUST either prepare it using the "SASLprep" profile [...] or otherwise be prepared to do
    SASLprep-aware string comparisons".
    Deviates: an address stays as it was sent, whatever its directions. SASLprep would take Persian's joiners out of it,
    refuse Arabic at an ASCII domain, and turn Thai, Korean and full-width letters into others than mail for it has:
    RFC 6532 §3.1 has addresses in NFC and says that NFKC "SHOULD NOT be used".
    """
    if len(text.encode()) > MAX_OCTETS:
        raise ValueError("too long a name")
    if "@" not in text:
        # Nobody's as it stands. A full-width one, at sign included, is what a Japanese keyboard makes of an address.
        return prepare(text)
    mapped(text)
    return text
