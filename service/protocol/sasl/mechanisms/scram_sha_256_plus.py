"""SCRAM-SHA-256-PLUS: SCRAM-SHA-256 whose proof holds on this one TLS connection and no other.

Owns the name. Refuses to know what a binding is made of: the TLS that ends here tells it, by kind.
RFC 5802 §6, RFC 7677 §4, RFC 5929 §3 (tls-unique) and §4 (tls-server-end-point).
"""

from functools import partial

from service.protocol.sasl.exchange import Mechanism
from service.protocol.sasl.mechanisms.scram_sha_256 import ScramSha256

SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS"
MECHANISM = Mechanism(
    SCRAM_SHA_256_PLUS, client_first=True, begin=partial(ScramSha256, bound=True), rank=10, everywhere=False
)
