"""What kind of failure an error of obstore is.

Owns the translation into the closed set of kinds that is counted. Refuses to decide what follows from it.
"""

import asyncio
import re

from obstore import exceptions

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (asyncio.TimeoutError, "timeout"),
    (exceptions.PermissionDeniedError, "denied"),
    (exceptions.UnauthenticatedError, "denied"),
    (PermissionError, "denied"),
    (FileNotFoundError, "missing"),
)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_BLOB_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "BlobNotFound"})
_WORDS = (("timed out", "timeout"), ("error sending request", "connection"), ("No space left", "full"))


def kind_of(error: BaseException) -> str:
    """The kind of `error`, out of telemetry's closed set."""
    for family, kind in _KINDS:
        if isinstance(error, family):
            return kind
    # obstore has one class for most failures; only its text tells them apart.
    text = str(error)
    return next((kind for words, kind in _WORDS if words in text), "protocol")


def only_the_blob_is_missing(error: FileNotFoundError) -> bool:
    """Whether `error` says so of one blob; a bucket or an access key that isn't there is no defect of the blob.

    obstore calls every 404 the same; the code in its body tells. A directory's error has none.
    """
    code = _CODE.search(str(error))
    return code is None or code[1] in _BLOB_MISSING
