"""From the octets of a name and a password to a proof, or to none.

Owns the bounds and the preparation that USER/PASS, PLAIN and LOGIN share. A proof that can't match
anything is None: the login refuses it at the same cost as a wrong password (G13).
RFC 4616 §2, RFC 4013 §2, RFC 6856 §2.2.
"""

from service.model.proof import Password
from service.protocol.sasl.prepare import prepare

MAX_OCTETS = 255


def password_proof(name: bytes, secret: bytes, authzid: bytes = b"") -> Password | None:
    """The proof, prepared; None when a part is empty, over 255 octets, not UTF-8 or prohibited.

    RFC 4616 §2: a string that can't be prepared, or is empty once it is, fails verification.
    """
    if not name or not secret or max(map(len, (name, secret, authzid))) > MAX_OCTETS or 0 in name or 0 in secret:
        return None
    try:
        acting_for = prepare(authzid.decode()) if authzid else ""
        return Password(prepare(name.decode()), prepare(secret.decode()), acting_for)
    except ValueError:
        return None
