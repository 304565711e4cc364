"""Which texts are keys of blobs.

Owns the alphabet that every vendor keeps as it is and that no file system takes for a path upwards.
Refuses to know what a key means.
"""

import re
import secrets

from service.model.refusal import Reason, Refusal

_KEY = re.compile(r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.=+@-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.=+@-]+)*")
MAX_KEY_OCTETS = 900


def is_key(text: str) -> bool:
    """Whether `text` may be the key of a blob: words between single slashes, none of them `.` or `..`."""
    return len(text) <= MAX_KEY_OCTETS and _KEY.fullmatch(text) is not None


def checked(key: str) -> str:
    """`key` itself. Raises Refusal(BROKEN) when no blob can have it: then the row that names it is corrupt."""
    if not is_key(key):
        raise Refusal(Reason.BROKEN, "not the key of a blob")
    return key


def probe_key() -> str:
    """A key that no blob has, for a probe of the store."""
    return f"poplar-probe/{secrets.token_hex(16)}"


def folder_of(prefix: str) -> str:
    """The whole words of `prefix`, without the last slash: stores list by whole words."""
    return prefix.rpartition("/")[0]
