"""JWTs: what one says of itself, and whether one of an issuer's keys signed it.

Owns the reading of a token and of a set of keys, and which key may verify what. Refuses to fetch anything.
RFC 7515 §5.2, RFC 7517 §5, RFC 7518 §3.1, §3.3 and §6.3.2, RFC 8725 §3.1 and §3.11.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from service.mail.claims import Claims
from service.model.refusal import Reason, Refusal

MOST_KEYS = 64
LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
"""A signature by a longer key, or one of a longer exponent, takes the event loop longer than any issuer needs (G16)."""
MOST_EXPONENT_BITS = 32
MOST_CHARACTERS = MOST_RSA_BITS // 4
"""Of one of a key's numbers in base64, half as many again as the longest takes: a longer one isn't even computed."""
MOST_TRIED = 8
"""Keys that are tried for a token which names none."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
_KINDS: Mapping[str, type[Key]] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}


@dataclass(frozen=True, slots=True)
class Unverified:
    """A JWT's two parts as it gives them; nothing of it is proved."""

    header: Mapping[str, Any]
    claims: Claims

    @property
    def algorithm(self) -> str:
        """What it says that it was signed with."""
        return str(self.header.get("alg", ""))

    @property
    def key_id(self) -> str | None:
        """Which key it says that signed it."""
        found = self.header.get("kid")
        return found if isinstance(found, str) else None


def parsed(token: str) -> Unverified | None:
    """The parts of a JWT; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    header, claims = (_object(part) for part in parts[:2])
    return Unverified(header, claims) if header is not None and claims is not None else None


def _object(part: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_keys(document: Mapping[str, Any] | None) -> tuple[Key, ...]:
    """The usable keys of a set. Raises Refusal(UNAVAILABLE) when it is no set of keys.

    RFC 7517 §5: keys that aren't understood, or lack what is needed, are passed over.
    """
    listed = document.get("keys") if document else None
    if not isinstance(listed, list):
        raise Refusal(Reason.UNAVAILABLE, "oidc: no set of keys")
    return tuple(key for each in listed[:MOST_KEYS] if (key := _key(each)) is not None)


def _key(told: object) -> Key | None:
    if not isinstance(told, dict) or told.get("kty") not in ("RSA", "EC", "OKP") or told.get("use", "sig") != "sig":
        return None
    if not _is_cheap(told):
        return None
    try:
        key = JWKRegistry.import_key(told)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if isinstance(key, RSAKey) and not _is_fit(key) else key


def _is_cheap(told: Mapping[str, Any]) -> bool:
    """Whether the key can be made without holding up the event loop (G16)."""
    # RFC 7518 §6.3.2: "The parameter "d" is REQUIRED for RSA private keys." Where it comes without the primes, n would
    # be factored, for many seconds; and a key that is published with its private part proves nothing of who signed.
    return "d" not in told and all(len(str(told.get(number, ""))) <= MOST_CHARACTERS for number in ("n", "e", "x", "y"))


def _is_fit(key: RSAKey) -> bool:
    # RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
    numbers = key.public_key.public_numbers()
    return LEAST_RSA_BITS <= numbers.n.bit_length() <= MOST_RSA_BITS and numbers.e.bit_length() <= MOST_EXPONENT_BITS


def fitting(keys: Iterable[Key], token: Unverified) -> list[Key]:
    """The keys that may have signed the token: the one it names, or each of the right kind when it names none."""
    kind = _KINDS.get(token.algorithm[:2])
    found = [
        key
        for key in keys
        if kind is not None
        and isinstance(key, kind)
        and key.get("alg", token.algorithm) == token.algorithm
        and (token.key_id is None or key.kid == token.key_id)
    ]
    return found[:MOST_TRIED]


def check_header(token: Unverified, algorithms: Sequence[str]) -> None:
    """Raises Refusal(CREDENTIALS) for what no key could make good."""
    # RFC 8725 §3.1: "Libraries MUST enable the caller to specify a supported set of algorithms and MUST NOT use any
    # other algorithms when performing cryptographic operations."
    if token.algorithm not in algorithms:
        raise Refusal(Reason.CREDENTIALS, "the token is signed by an algorithm that isn't allowed")
    # RFC 8725 §3.11: a JWT of another kind, such as a logout token, isn't to be mistaken for one that lets anybody in.
    if str(token.header.get("typ", "JWT")).lower() not in _TYPES:
        raise Refusal(Reason.CREDENTIALS, "the token is of another kind")


def verified(text: str, keys: Iterable[Key], algorithm: str) -> Claims | None:
    """The claims, if one of the keys signed the token."""
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 4096
    for key in keys:
        try:
            return jwt.decode(text, key, registry=registry).claims
        except (JoseError, ValueError, TypeError):
            continue
    return None
