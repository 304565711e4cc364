"""Tokens that must open nothing, though all their claims are good: each forged in a way of its own.

Owns the ways; `issuer.py` has the keys. RFC 8725 §2 and §3; RFC 7515 §4.1.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping

from joserfc.jwk import RSAKey

from tests.backends.issuer import Issuer, make_key, part, signed

HEADER: dict[str, object] = {"alg": "RS256", "kid": "RS256", "typ": "at+jwt"}
Forgery = Callable[[Issuer], str]


def with_header(header: dict[str, object]) -> Forgery:
    """A good token under another header, which its signature isn't of."""

    def forge(issuer: Issuer) -> str:
        _, body, signature = issuer.token().split(".")
        return f"{part(header)}.{body}.{signature}"

    return forge


def with_rest(rest: Callable[[Issuer, str], str]) -> Forgery:
    """A good token's first part before another rest, which is made of the issuer and the claims' part."""

    def forge(issuer: Issuer) -> str:
        head, body, _ = issuer.token().split(".")
        return f"{head}.{rest(issuer, body)}"

    return forge


def signed_by_the_right_key(**header: object) -> Forgery:
    return lambda issuer: signed(issuer.keys["RS256"], HEADER | header, issuer.claims())


def signed_by_another_key(**header: object) -> Forgery:
    return lambda issuer: signed(make_key("RS256", "mine"), HEADER | header, issuer.claims())


def unsigned(issuer: Issuer) -> str:
    return f"{part({'alg': 'none'})}.{part(issuer.claims())}."


def by_hmac_with_the_public_key(issuer: Issuer) -> str:
    key = issuer.keys["RS256"]
    assert isinstance(key, RSAKey)
    text = f"{part(HEADER | {'alg': 'HS256'})}.{part(issuer.claims())}"
    digest = hmac.digest(key.as_pem(private=False), text.encode(), hashlib.sha256)
    return f"{text}.{urlsafe_b64encode(digest).decode().rstrip('=')}"


def with_a_key_in_the_header(issuer: Issuer) -> str:
    mine = make_key("RS256", "mine")
    return signed(mine, HEADER | {"kid": "mine", "jwk": mine.as_dict(private=False)}, issuer.claims())


def with_a_key_elsewhere(issuer: Issuer) -> str:
    header = HEADER | {"kid": "mine", "jku": f"{issuer.url}/mine", "x5u": f"{issuer.url}/mine"}
    return signed(make_key("RS256", "mine"), header, issuer.claims())


UNALLOWED: Mapping[str, Forgery] = {
    "alg none": unsigned,
    "alg None": with_header({"alg": "None", "kid": "RS256"}),
    "alg of another type": with_header({"alg": ["RS256"], "kid": "RS256"}),
    "no alg": with_header({"kid": "RS256"}),
    "HS256 with the public key": by_hmac_with_the_public_key,
    "an algorithm that isn't allowed": signed_by_the_right_key(alg="PS256"),
    "a logout token": signed_by_the_right_key(typ="logout+jwt"),
}
"""What shows at a glance that it is no good."""
FORGERIES: Mapping[str, Forgery] = {
    **UNALLOWED,
    "no signature": with_rest(lambda _, body: f"{body}."),
    "another's signature": with_rest(lambda issuer, body: f"{body}.{issuer.token(sub='2').rpartition('.')[2]}"),
    "other claims": with_rest(lambda issuer, _: f"{part(issuer.claims())}.{issuer.token(sub='2').rpartition('.')[2]}"),
    "a key of nobody's": signed_by_another_key(),
    "an unknown key's id": signed_by_another_key(kid="mine"),
    "a key in the header": with_a_key_in_the_header,
    "a key elsewhere": with_a_key_elsewhere,
    "another key's id": signed_by_the_right_key(kid="ES256"),
    "another algorithm than the key's kind": with_header(HEADER | {"alg": "ES256"}),
    "an extension that must be understood": with_header(HEADER | {"crit": ["x"], "x": 1}),
}
