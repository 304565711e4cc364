"""From the octets of a name and a password to a proof, or to none.

Owns what USER/PASS, PLAIN and LOGIN share: the password's bound and preparation. What can't match anything is a proof
that isn't usable, or None where it names nobody: the login refuses both at the same cost as a wrong password (G13).
RFC 4616 §2, RFC 4013 §2, RFC 6856 §2.2.
"""

from service.model.proof import Password
from service.model.saslprep import prepare
from service.protocol.sasl.login_name import MAX_OCTETS, login_name


def password_proof(name: bytes, secret: bytes, authzid: bytes = b"") -> Password | None:
    """The proof; None when the name, or an authzid, can't be one.

    RFC 4616 §2: a string that can't be prepared, or is empty once it is, fails verification. A secret of that sort
    still makes a proof, by which it is known when it is tried again, and which opens nothing.
    """
    try:
        who, acting_for = login_name(name.decode()), login_name(authzid.decode()) if authzid else ""
    except ValueError:
        return None
    try:
        return Password(who, _prepared(secret), acting_for)
    except ValueError:
        # As long as a client's line at most; no two secrets come to the same text.
        return Password(who, secret.decode("utf-8", "surrogateescape"), acting_for, usable=False)


def _prepared(octets: bytes) -> str:
    """Raises ValueError when they are over 255 or not UTF-8, and what `prepare` raises."""
    if len(octets) > MAX_OCTETS:
        raise ValueError("too long")
    return prepare(octets.decode())
