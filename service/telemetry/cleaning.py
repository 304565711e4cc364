"""What no line of the log may hold: passwords and tokens, and what a terminal would obey.

Owns the promise that none leaves (G17): a value whose key could name one is masked, so is the password of a URL.
Refuses to know who writes lines, and where.
"""

import json
import re
from collections.abc import Collection, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

MASK = "********"
_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token|verifier|authorization|cookie|private_key|access_key|api_key|nonce|challenge|bearer",
    re.IGNORECASE,
)
# Each is bounded and begins where a word does, so that no text, however long, takes longer than its length.
_URL_PASSWORD = re.compile(r"(?<![\w+.-])([\w+.-]{1,32}://[^\s/:@]{0,255}:)\S{1,1024}@")
_KEYED_PASSWORD = re.compile(
    r"(?i)(passwd|password|passphrase|secret|token|secret_key|access_key|api_key)"
    r"([\"']?\s{0,8}[=:]\s{0,8})(\"[^\"]*\"|'[^']*'|\S+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)( {1,8})[\w.~+/=-]{16,}")
_OWN_TOKEN = re.compile(r"\bpoplar_[\w-]{40,}")
_MOST_NESTED = 4
CLEANED = 1024
"""Texts of which it is remembered what is written instead: most lines' are those of lines before."""
Values = MutableMapping[str, Any]


def without_secrets(_logger: object, _method: str, values: Values) -> Values:
    """Mask what could be a password or token, and escape what a terminal would obey."""
    for key, value in values.items():
        if not key.startswith("_"):  # What structlog keeps for itself and takes out again.
            values[key] = _cleaned(key, value, _MOST_NESTED)
    return values


def _cleaned(key: str, value: object, deeper: int) -> object:
    if _names_a_secret(key):
        return MASK
    if isinstance(value, str):
        return printable(scrubbed(value), "\n" if key == "exception" else "")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset) and deeper:
        return _cleaned_parts(key, value, deeper - 1)
    return printable(scrubbed(repr(value) if isinstance(value, BaseException | bytes) else str(value)))


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _cleaned_parts(key: str, value: Mapping[Any, object] | Collection[object], deeper: int) -> object:
    if isinstance(value, Mapping):
        return {str(name): _cleaned(str(name), part, deeper) for name, part in value.items()}
    return [_cleaned(key, part, deeper) for part in value]


def scrubbed(text: str) -> str:
    """`text` without the password of any URL in it, without what stands behind `password=` and the like, and tokens."""
    # Most texts lack what each of these can't be without, and are looked through no further.
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    if "=" in text or ":" in text:
        text = _KEYED_PASSWORD.sub(rf"\1\2{MASK}", text)
    if " " in text:
        text = _BEARER.sub(rf"\1\2{MASK}", text)
    return _OWN_TOKEN.sub(MASK, text) if "poplar_" in text else text


@lru_cache(CLEANED)
def quoted(text: str) -> str:
    """`text` as a string of JSON, without secrets and with nothing that a terminal would obey."""
    return json.dumps(printable(scrubbed(text)), ensure_ascii=False)


def printable(text: str, kept: str = "") -> str:
    """`text` with what a terminal would obey, or wouldn't show, escaped; but for the characters in `kept`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in text)
