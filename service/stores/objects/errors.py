"""What kind of failure an error of obstore, or of a directory, is.

Owns the translation into the closed set of kinds that is counted. Refuses to decide what follows from it.
"""

import asyncio
import errno
import os
import re

from obstore import exceptions

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (asyncio.TimeoutError, "timeout"),
    (exceptions.PermissionDeniedError, "denied"),
    (exceptions.UnauthenticatedError, "denied"),
    (PermissionError, "denied"),
    (FileNotFoundError, "missing"),
)
_NUMBERS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EMFILE: "overload",
    errno.ENFILE: "overload",
    errno.EROFS: "denied",
}
"""What a file system says of itself, beyond what has a class of its own."""
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MEANS = (
    (re.compile(r"\b(SlowDown|TooManyRequests|ServerBusy|ServiceUnavailable|status code: (429|503))\b"), "overload"),
    (
        re.compile(
            r"\b(AccessDenied|ExpiredToken|InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch|RequestTimeTooSkewed)\b"
        ),
        "denied",
    ),
    (re.compile(r"\b(XMinioStorageFull|QuotaExceeded|status code: 507)\b"), "full"),
)
"""What stores say in words of their own, whatever the status; object_store has one class for most of it."""
_BLOB_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "BlobNotFound"})
_WORDS = (("timed out", "timeout"), ("error sending request", "connection"), ("No space left", "full"))


def kind_of(error: BaseException) -> str:
    """The kind of `error`, out of telemetry's closed set."""
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _NUMBERS[error.errno]
    text = str(error)
    for words, kind in _MEANS:
        if words.search(text):
            return kind
    for family, kind in _KINDS:
        if isinstance(error, family):
            return kind
    # obstore has one class for most failures; only its text tells them apart.
    return next((kind for words, kind in _WORDS if words in text), "protocol")


def words_for(error: BaseException) -> str:
    """The system's own words for an error of a file; never a path. Empty for an error of obstore."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""


def only_the_blob_is_missing(error: FileNotFoundError) -> bool:
    """Whether `error` says so of one blob; a bucket or an access key that isn't there is no defect of the blob.

    obstore calls every 404 the same; the code in its body tells. One without is a proxy's before the store, which knows
    of no blob, or the answer to a HEAD. A directory's error is no 404.
    """
    code = _CODE.search(str(error))
    return code[1] in _BLOB_MISSING if code else "status code: 404" not in str(error)


def answered(error: Exception) -> bool:
    """Whether the store refused a request as such, with another status than that of a range beyond the end."""
    return "status code" in str(error) and "status code: 416" not in str(error)
