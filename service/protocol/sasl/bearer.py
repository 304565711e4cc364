"""What OAUTHBEARER and XOAUTH2 have in common: a name, a bearer token, and a word about a token that was refused.

Owns the grammar of their pairs and the two forms of that word. Refuses to look into a token.
RFC 7628 §3.1 and §3.2.2, RFC 6750 §2.1.
"""

import json
import re

from service.protocol.sasl.exchange import Outside

SEPARATOR = "\x01"
# RFC 7628 §3.1: `kvpair = key "=" value kvsep`, of a key of letters and a value of VCHAR, SP, HTAB, CR and LF.
_PAIR = re.compile(r"([A-Za-z]+)=([\x20-\x7e\t\r\n]*)")
# RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`. A scheme's case is free.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*) *")


def pairs_of(text: str) -> dict[str, str]:
    """The pairs, by key in lower case. Raises ValueError when one breaks the grammar or comes twice.

    RFC 7628 §3.1: whatever isn't known is ignored, and the last pair is followed by one more separator.
    """
    if not text.endswith(SEPARATOR * 2):
        raise ValueError("no end")
    found: dict[str, str] = {}
    for part in text[:-2].split(SEPARATOR):
        pair = _PAIR.fullmatch(part)
        if pair is None or pair[1].lower() in found:
            raise ValueError("not a pair, or one more of the same key")
        found[pair[1].lower()] = pair[2]
    return found


def token_of(authorization: str) -> str:
    """The token in the value of `auth`. Raises ValueError for another scheme."""
    found = _BEARER.fullmatch(authorization)
    if found is None:
        raise ValueError("not a bearer token")
    return found[1]


def oauthbearer_refusal(outside: Outside) -> bytes:
    """What OAUTHBEARER says of a refused token: the same whatever was wrong with it, and for whomever (G13).

    RFC 7628 §3.2.2: `status` is required; `scope` and `openid-configuration` are told where they are configured.
    """
    hints = {"scope": outside.scope, "openid-configuration": outside.configuration}
    told = {"status": "invalid_token"} | {key: value for key, value in hints.items() if value}
    return json.dumps(told).encode()


def xoauth2_refusal(outside: Outside) -> bytes:
    """The same in XOAUTH2's form, which has the status of HTTP."""
    told = {"status": "401", "schemes": "bearer"} | ({"scope": outside.scope} if outside.scope else {})
    return json.dumps(told).encode()
