"""Which scheme a stored verifier is of: it stands before it in braces, as Dovecot and OpenLDAP write it, or the
hash names itself.

Owns the tables of names and the refusal, in plain words, of what no login could ever match. Refuses to compute.
A name's case doesn't matter; `.b64`, `.base64` and `.hex` behind it say how the rest is encoded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from service.stores.passwords.argon2 import argon2_matcher
from service.stores.passwords.crypts import bcrypt_matcher, des_matcher, md5_matcher, sha2_matcher
from service.stores.passwords.digests import Digest, decoded
from service.stores.passwords.matching import Matcher, Reader
from service.stores.passwords.pbkdf2 import pbkdf2_matcher

MOST_CHARACTERS = 1024
_PREFIXED = re.compile(r"\{([A-Za-z0-9-]{1,32})(?:\.(b64|base64|hex))?\}(.*)", re.IGNORECASE | re.ASCII)

SELF_NAMED: Mapping[str, Reader] = MappingProxyType(
    {
        "$argon2id$": argon2_matcher,
        "$argon2i$": argon2_matcher,
        "$6$": sha2_matcher,
        "$5$": sha2_matcher,
        "$2a$": bcrypt_matcher,
        "$2b$": bcrypt_matcher,
        "$2y$": bcrypt_matcher,
        "$1$": md5_matcher,
        "$apr1$": md5_matcher,
        "$pbkdf2$": pbkdf2_matcher,
        "$pbkdf2-sha1$": pbkdf2_matcher,
        "$pbkdf2-sha256$": pbkdf2_matcher,
        "$pbkdf2-sha512$": pbkdf2_matcher,
    }
)
"""By how a hash begins."""

DIGESTS: Mapping[str, Digest] = MappingProxyType(
    {
        "PLAIN-MD5": Digest("md5"),
        "LDAP-MD5": Digest("md5"),
        "SMD5": Digest("md5", salted=True),
        "SHA": Digest("sha1"),
        "SHA1": Digest("sha1"),
        "SSHA": Digest("sha1", salted=True),
        "SHA256": Digest("sha256"),
        "SSHA256": Digest("sha256", salted=True),
        "SHA512": Digest("sha512"),
        "SSHA512": Digest("sha512", salted=True),
    }
)


@dataclass(frozen=True, slots=True)
class Texts:
    """A scheme whose verifiers are text; `begins` says how, where the text names itself."""

    reader: Reader
    begins: tuple[str, ...] = ("",)


def _crypt_matcher(text: str) -> Matcher:
    return _self_named(text) if text.startswith("$") else des_matcher(text)


def _md5_matcher(text: str) -> Matcher:
    """Dovecot's {MD5} is crypt's, OpenLDAP's is a plain digest."""
    return md5_matcher(text) if text.startswith("$") else DIGESTS["LDAP-MD5"].matcher(text, None)


TEXTS: Mapping[str, Texts] = MappingProxyType(
    {
        "ARGON2ID": Texts(argon2_matcher, ("$argon2id$",)),
        "ARGON2I": Texts(argon2_matcher, ("$argon2i$",)),
        "SHA512-CRYPT": Texts(sha2_matcher, ("$6$",)),
        "SHA256-CRYPT": Texts(sha2_matcher, ("$5$",)),
        "BLF-CRYPT": Texts(bcrypt_matcher, ("$2",)),
        "MD5-CRYPT": Texts(md5_matcher, ("$1$", "$apr1$")),
        "MD5": Texts(_md5_matcher),
        "DES-CRYPT": Texts(des_matcher),
        "CRYPT": Texts(_crypt_matcher),
        "PBKDF2": Texts(pbkdf2_matcher),
        "PBKDF2-SHA1": Texts(pbkdf2_matcher),
        "PBKDF2-SHA256": Texts(partial(pbkdf2_matcher, algorithm="sha256")),
        "PBKDF2-SHA512": Texts(partial(pbkdf2_matcher, algorithm="sha512")),
    }
)

SCHEMES: tuple[str, ...] = tuple(sorted({*TEXTS, *DIGESTS}))


def matcher(text: str) -> Matcher:
    """What the verifier `text` proves. Raises ValueError, in words that never repeat it, when it proves nothing."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the verifier has more than {MOST_CHARACTERS} characters")
    found = _PREFIXED.fullmatch(text)
    try:
        return _prefixed(found[1].upper(), found[2], found[3]) if found else _self_named(text)
    except ValueError as error:
        raise ValueError(f"the verifier {error}") from error


def _prefixed(scheme: str, encoding: str | None, rest: str) -> Matcher:
    encoding = encoding and encoding.lower()
    if scheme in DIGESTS:
        return DIGESTS[scheme].matcher(rest, encoding)
    if scheme not in TEXTS:
        raise ValueError(f"is of the scheme {{{scheme}}}, which isn't accepted: {', '.join(SCHEMES)} are")
    text = decoded(rest, encoding).decode("latin-1") if encoding else rest
    if not text.startswith(TEXTS[scheme].begins):
        raise ValueError(f"doesn't begin as one of {{{scheme}}} does")
    return TEXTS[scheme].reader(text)


def _self_named(text: str) -> Matcher:
    for begins, reader in SELF_NAMED.items():
        if text.startswith(begins):
            return reader(text)
    known = " ".join(SELF_NAMED)
    raise ValueError(f"names no known scheme: put one in braces before it, or begin it with one of {known}")
