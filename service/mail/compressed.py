"""A message's file as Dovecot keeps it: plain, or compressed under an ordinary name.

Owns telling by the first octets, as Dovecot does: no message begins like these. Reads what Python itself can read, a
piece at a time. Refuses the others, rather than take one for a text.
RFC 1952 §2.3.1 (gzip).
"""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import TypeVar

from service.mail.archives import PIECE
from service.mail.unlinked import opened

T = TypeVar("T")

# RFC 1952 §2.3.1: "These have the fixed values ID1 = 31 (0x1f, \037), ID2 = 139 (0x8b, \213), to identify the file as
# being in gzip format."
_READ: Mapping[bytes, Callable[[BufferedReader], BufferedIOBase]] = {
    rb"\x1f\x8b": gzip.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
    rb"\xfd7zXZ\x00": lzma.open,
}
_UNREAD = {
    rb"Dovecot-LZ4\r\*\x9b\xc5|\x04\x22\x4d\x18": "compressed with lz4",
    rb"\x28\xb5\x2f\xfd": "compressed with zstd",
    rb"CRYPTED\x03\x07": "encrypted",
}
_FIRST = 16
"""Octets that tell."""


def pieces(file: Path) -> Iterator[bytes]:
    """The message's text. Raises OSError if it can't be read, or not in this format."""
    with opened(file) as plain:
        first = plain.read(_FIRST)
        if how := _found(_UNREAD, first):
            raise OSError(f"it is {how}, which an import can't read")
        plain.seek(0)
        expand = _found(_READ, first)
        yield from _expanded(expand(plain)) if expand else _all(plain)


def _found(formats: Mapping[bytes, T], first: bytes) -> T | None:
    return next((found for magic, found in formats.items() if re.match(magic, first)), None)


def _all(file: BufferedIOBase) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _expanded(file: BufferedIOBase) -> Iterator[bytes]:
    try:
        yield from _all(file)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"it is compressed, and broken: {error}") from error
