"""Which maildrop a client certificate opens: the one whose address stands in it.

Owns that comparison. Refuses to know certificates: TLS verified this one against the authorities of the settings, and
read the addresses in it. RFC 4422 appendix A.1, RFC 5280 §4.2.1.6 (rfc822Name).
"""

from service.model.account import Account, Credential
from service.model.address import parse_address
from service.model.proof import CertificateProof

KIND = "certificate"


def certified(account: Account | None, proof: CertificateProof) -> Credential | None:
    """The certificate as the credential that opened `account`; None unless the account's address is in it."""
    if account is None or account.address not in map(_normal, proof.certified):
        return None
    return Credential(account.key.maildrop_id, KIND, "", KIND, kept_outside=True)


def _normal(address: str) -> str:
    """The address as maildrops have theirs; empty when it is none, or has a tag."""
    try:
        return parse_address(address).base if "+" not in address.rpartition("@")[0] else ""
    except ValueError:
        return ""
