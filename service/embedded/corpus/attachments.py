"""Files to attach: real formats that programs open, made of the same octets every time.

Owns the formats. Refuses to use chance: noise comes from an extendable hash of a name.
"""

import hashlib
import io
import struct
import zipfile
import zlib


def noise(name: str, octets: int) -> bytes:
    """`octets` octets that don't compress, the same ones for the same name."""
    return hashlib.shake_256(name.encode()).digest(octets)


def png(name: str, side: int) -> bytes:
    """A square colour picture of `side` pixels, about 3 * side² octets."""
    pixels = noise(name, side * side * 3)
    rows = b"".join(b"\0" + pixels[at : at + side * 3] for at in range(0, len(pixels), side * 3))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(line: str) -> bytes:
    """A page with one line of text."""
    drawing = f"BT /F1 24 Tf 72 720 Td ({line}) Tj ET".encode("ascii")
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page + b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return _with_directory(objects)


def _with_directory(objects: list[bytes]) -> bytes:
    text, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(text))
        text += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start, count = len(text), len(objects) + 1
    text += b"xref\n0 %d\n0000000000 65535 f \n" % count + b"".join(b"%010d 00000 n \n" % place for place in places)
    return text + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)


def archive(name: str, octets: int) -> bytes:
    """A zip file with one file of `octets` octets in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as folder:
        entry = zipfile.ZipInfo(f"{name}.csv", (2026, 1, 5, 9, 0, 0))
        folder.writestr(entry, noise(name, octets // 2).hex(), zipfile.ZIP_DEFLATED)
    return target.getvalue()
