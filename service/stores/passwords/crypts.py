"""Verifiers in the forms of crypt(3): SHA-512, SHA-256, MD5 (and Apache's), bcrypt, and DES.

Owns which form a text has and what its rounds may cost; libpass and bcrypt compute. Refuses to know prefixes in
braces. A form names itself by how it begins, save DES, which has thirteen characters and no name. libpass is loaded for
the first verifier that needs it: most installations have none.
"""

import re
from collections.abc import Callable
from typing import Any

import bcrypt

from service.stores.passwords.matching import Matcher, bounded

MOST_ROUNDS = 1_000_000
"""Of SHA-512; half a second. Some tools wrote 656,000."""
DEFAULT_ROUNDS = 5000
MOST_BCRYPT_COST = 14
"""About a second; each further one doubles it."""
BCRYPT_OCTETS = 72

_SALTED = r"[./0-9A-Za-z]"
_SHA2 = re.compile(rf"\$[56]\$(?:rounds=([1-9]\d{{3,8}})\$)?{_SALTED}{{0,16}}\${_SALTED}{{43,86}}", re.ASCII)
_BCRYPT = re.compile(rf"\$2[aby]\$(\d\d)\${_SALTED}{{53}}", re.ASCII)


def sha2_matcher(text: str) -> Matcher:
    """What a `$5$` or `$6$` verifier proves. Raises ValueError when it is garbled or too dear."""
    found = _SHA2.fullmatch(text)
    if not found:
        raise ValueError("is not a whole SHA-crypt hash")
    bounded(int(found[1] or DEFAULT_ROUNDS), MOST_ROUNDS, "rounds")
    from service.stores.passwords import libpass

    return _through(libpass.sha512_crypt if text.startswith("$6$") else libpass.sha256_crypt, text)


def md5_matcher(text: str) -> Matcher:
    """What a `$1$` or `$apr1$` verifier proves. Raises ValueError when it is garbled."""
    from service.stores.passwords import libpass

    return _through(libpass.md5_crypt if text.startswith("$1$") else libpass.apr_md5_crypt, text)


def des_matcher(text: str) -> Matcher:
    """What thirteen characters of DES prove: the first eight octets of a password. Raises ValueError when garbled."""
    from service.stores.passwords import libpass

    return _through(libpass.des_crypt, text)


def bcrypt_matcher(text: str) -> Matcher:
    """What a `$2a$`, `$2b$` or `$2y$` verifier proves. Raises ValueError when it is garbled or too dear."""
    found = _BCRYPT.fullmatch(text)
    if not found:
        raise ValueError("is not a whole bcrypt hash")
    bounded(int(found[1]), MOST_BCRYPT_COST, "as its cost")
    if int(found[1]) < 4:
        raise ValueError("has a cost under 4, which bcrypt doesn't know")
    from service.stores.passwords.libpass import bcrypt64

    # Bits that mean nothing are set in what some systems stored, and bcrypt refuses them.
    normal = "".join((text[:7], bcrypt64.repair_unused(text[7:29]), bcrypt64.repair_unused(text[29:]))).encode("ascii")
    # Every bcrypt of old ignored what follows; this library refuses it instead.
    return lambda secret: bcrypt.checkpw(secret[:BCRYPT_OCTETS], normal)


def _through(handler: Any, text: str) -> Matcher:
    """What libpass says of `text`, once it has read it whole."""
    if not text.isascii():
        raise ValueError("is garbled: a hash is plain ASCII")
    try:
        handler.from_string(text)
    except ValueError as error:
        raise ValueError("is not a whole hash of its scheme") from error
    verify: Callable[[bytes, str], bool] = handler.verify
    # libpass refuses a password with NUL by ValueError: crypt(3) can't have seen one.
    return lambda secret: b"\0" not in secret and verify(secret, text)
