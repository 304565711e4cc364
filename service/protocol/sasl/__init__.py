"""SASL exchanges as pure steps: one file a mechanism in `mechanisms/`, found by itself.

Owns what a client and a mechanism say to each other, after base64. Refuses to know how a proof
is verified: an exchange ends in `Verify(proof)` and is told nothing it could leak.
RFC 4422, RFC 5034 §4, RFC 4616.
"""
