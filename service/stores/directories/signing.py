"""How a question to an HTTP hook is signed, so that the hook knows that it came from this service and is new.

Owns the headers. The signature is the HMAC-SHA256 (RFC 2104 §2) of `timestamp.body` by the shared secret, in hex.
A hook compares it in constant time and refuses a timestamp more than a few minutes off. Refuses to know the body.
"""

import hmac
from collections.abc import Mapping

SIGNATURE = "Poplar-Signature"
TIMESTAMP = "Poplar-Timestamp"


def signed(secret: bytes, body: bytes, now: float) -> Mapping[str, str]:
    """The headers for `body`, sent at `now` (Unix seconds)."""
    moment = str(int(now))
    digest = hmac.digest(secret, moment.encode("ascii") + b"." + body, "sha256")
    return {TIMESTAMP: moment, SIGNATURE: f"sha256={digest.hex()}"}
