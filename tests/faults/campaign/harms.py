"""What can go wrong on a way: cut, silent, slow; Postgres' answer to a COMMIT lost; an object store that fails.

Owns what each does to the octets of its protocol, and no more of the protocol than that takes: a statement is told by
the name it was prepared under, an HTTP response by its header. Refuses to know where and when (`nemesis.py`).
RFC 9112 §6.3 (a body of Content-Length octets).
"""

import asyncio
import re

from tests.faults.campaign.links import Harm, Pair, Watch

WRITES = rb"append_messages|remove_messages|leave_maildrop"
PREPARED = re.compile(rb"P....(\w+)\0[^\0]*?(?:" + WRITES + rb")", re.DOTALL)
BOUND = re.compile(rb"B....[^\0]*\0(\w+)\0", re.DOTALL)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nContent-Length: 90\r\n"
    b"Connection: close\r\n\r\n"
    b"<Error><Code>ServiceUnavailable</Code><Message>Reduce your request rate.</Message></Error>"
)
WORTH_HARMING = 200
"""Octets of a body under which it is an answer about objects rather than one of them."""


class Cut(Harm):
    """Nobody gets through, and whoever was is cut off: a system that is gone, or a partition that says so."""

    refuses = True


class Silent(Harm):
    """Nothing gets through either way until it is mended, as behind a network that drops everything."""

    async def forth(self, pair: Pair, octets: bytes) -> bytes:
        await self.mended.wait()
        return octets

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        await self.mended.wait()
        return octets


class Slow(Harm):
    """Each piece of an answer comes `seconds` late."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        await asyncio.sleep(self._seconds)
        return octets


class Statements(Watch):
    """Knows which of Postgres' prepared statements write, and whether one of them was just asked for."""

    def __init__(self) -> None:
        self._names: set[bytes] = set()
        self.writing = False

    def forth(self, octets: bytes) -> None:
        self._names.update(PREPARED.findall(octets))
        self.writing = any(name in self._names for name in BOUND.findall(octets)) or b"\0COMMIT;\0" in octets


class AnswerLost(Harm):
    """A write is carried out, and its answer never comes: the connection ends, or falls silent, instead."""

    def __init__(self, *, silent: bool) -> None:
        super().__init__()
        self._silent = silent
        self.lost = 0

    async def forth(self, pair: Pair, octets: bytes) -> bytes:
        if isinstance(pair.watch, Statements) and pair.watch.writing:
            pair.deaf = True
        return octets

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        if not pair.deaf:
            return octets
        self.lost += 1
        if not self._silent:
            pair.cut()
        return b""


class Exchange(Watch):
    """Knows of an HTTP connection which method was asked for last, and how much of a body is to come back."""

    def __init__(self) -> None:
        self.method = b""
        self.head = False
        """Whether the latest piece of an answer begins with its header."""
        self.body = 0
        self.left = 0

    def forth(self, octets: bytes) -> None:
        if found := re.match(rb"([A-Z]+) [^\r\n]+ HTTP/1\.1\r\n", octets):
            self.method = found[1]

    def back(self, octets: bytes) -> None:
        self.head = octets.startswith(b"HTTP/1.1 ")
        if self.head:
            header, _, body = octets.partition(b"\r\n\r\n")
            length = LENGTH.search(header)
            good = self.method == b"GET" and header.startswith(b"HTTP/1.1 20")
            self.body = int(length[1]) if length and good else 0
            self.left = self.body - len(body)
        else:
            self.left -= len(octets)

    @property
    def brings_an_object(self) -> bool:
        return self.body > WORTH_HARMING


class Unavailable(Harm):
    """Each request is answered 503, unseen by the store."""

    async def forth(self, pair: Pair, octets: bytes) -> bytes:
        if isinstance(pair.watch, Exchange) and re.match(rb"[A-Z]+ [^\r\n]+ HTTP/1\.1\r\n", octets):
            pair.answer(REFUSED)
        return b"" if pair.deaf else octets


class Corrupted(Harm):
    """One octet of each piece of an object's body is another one when it arrives."""

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        watch = pair.watch
        if not (isinstance(watch, Exchange) and watch.brings_an_object) or octets.endswith(b"\r\n\r\n"):
            return octets
        return octets[:-1] + bytes([octets[-1] ^ 1])


class CorruptedUploads(Harm):
    """One octet of each piece of an upload's body is another one when it reaches the store."""

    async def forth(self, pair: Pair, octets: bytes) -> bytes:
        uploads = isinstance(pair.watch, Exchange) and pair.watch.method == b"PUT"
        if not uploads or (re.match(rb"[A-Z]+ ", octets) and octets.endswith(b"\r\n\r\n")):
            return octets
        return octets[:-1] + bytes([octets[-1] ^ 1])


class Truncated(Harm):
    """An object comes as if it had half of its octets: a whole and proper answer, too short."""

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        watch = pair.watch
        if not (isinstance(watch, Exchange) and watch.brings_an_object):
            return octets
        half = watch.body // 2
        if watch.head:
            header, _, body = octets.partition(b"\r\n\r\n")
            shorter = LENGTH.sub(b"\r\nContent-Length: %d" % half, header)
            octets = shorter + b"\r\n\r\n" + body[:half]
        else:
            octets = octets[: max(0, half - (watch.body - watch.left - len(octets)))]
        if watch.body - watch.left >= half:
            pair.answer(octets)
        return b"" if pair.deaf else octets


class CutInTheBody(Harm):
    """The connection ends in the middle of an object."""

    async def back(self, pair: Pair, octets: bytes) -> bytes:
        watch = pair.watch
        if isinstance(watch, Exchange) and watch.brings_an_object and watch.left < watch.body // 2:
            pair.client.write(octets[: max(1, len(octets) // 2)])
            pair.deaf = True
            pair.client.close()
            pair.server.transport.abort()
            return b""
        return octets
