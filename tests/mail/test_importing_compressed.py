"""Import of a Maildir whose files Dovecot compressed under ordinary names. RFC 1952 §2.3.1."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.mail.archives import PIECE
from service.mail.compressed import pieces
from service.mail.importing import open_archive
from service.model.account import MaildropKey
from service.model.refusal import Reason
from tests.mail.provider import Provider
from tests.mail.test_importing import dovecot, key, provider, run

__all__ = ["key", "provider"]

Compress = Callable[[bytes], bytes]
FORMATS = pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
TEXT = b"Subject: a\n\ntext\n"


@FORMATS
async def test_a_compressed_file_is_a_message_like_the_plain_one(
    provider: Provider, key: MaildropKey, tmp_path: Path, compress: Compress
) -> None:
    """A second run finds the plain one known: it is the same message."""
    (dovecot(tmp_path) / f"cur/1.a,S={len(TEXT)}:2,S").write_bytes(compress(TEXT))
    (stored,) = await run(provider, open_archive(tmp_path))
    assert await provider.texts(key) == [TEXT.replace(b"\n", b"\r\n")]
    assert stored.octets == len(compress(TEXT)) == open_archive(tmp_path).octets
    (tmp_path / stored.name).write_bytes(TEXT)
    (known,) = await run(provider, open_archive(tmp_path))
    assert known.known


@FORMATS
def test_a_compressed_file_is_read_a_piece_at_a_time(tmp_path: Path, compress: Compress) -> None:
    text = b"Subject: a\n\n" + b"x" * 3 * PIECE
    (tmp_path / "file").write_bytes(compress(text))
    found = list(pieces(tmp_path / "file"))
    assert b"".join(found) == text
    assert max(map(len, found)) <= PIECE


@FORMATS
@pytest.mark.parametrize("kept", [0.5, 0.99])
async def test_a_broken_one_is_refused_alone(
    provider: Provider, key: MaildropKey, tmp_path: Path, compress: Compress, kept: float
) -> None:
    whole = compress(os.urandom(4096))
    dovecot(tmp_path, "cur/2.b")
    (tmp_path / "cur/1.a").write_bytes(whole[: int(len(whole) * kept)])
    (tmp_path / "cur/3.c").write_bytes(whole[:60] + bytes(200) + whole[260:])
    steps = await run(provider, open_archive(tmp_path))
    told = [step.refusal and (step.refusal.reason, "compressed, and broken" in str(step.refusal)) for step in steps]
    assert told == [(Reason.INVALID, True), None, (Reason.INVALID, True)]
    assert len(provider.rows(key)) == len(await provider.keys()) == 1


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"Dovecot-LZ4\x0d\x2a\x9b\xc5", "lz4"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"CRYPTED\x03\x07", "encrypted"),
    ],
)
async def test_what_can_not_be_read_is_refused_alone(
    provider: Provider, key: MaildropKey, tmp_path: Path, first: bytes, said: str
) -> None:
    dovecot(tmp_path, "cur/1.a", "cur/2.b")
    (tmp_path / "cur/1.a").write_bytes(first + b"\0" * 20)
    refused, stored = await run(provider, open_archive(tmp_path))
    assert refused.refusal is not None
    assert said in str(refused.refusal)
    assert stored.refusal is None


@pytest.mark.parametrize("text", [b"", b"B", b"BZh9: a header\n\ntext\n", b"Dovecot-LZ4: on\n\n", b"CRYPTED: no\n\n"])
def test_a_message_that_only_looks_like_one_is_plain(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "file").write_bytes(text)
    assert b"".join(pieces(tmp_path / "file")) == text
