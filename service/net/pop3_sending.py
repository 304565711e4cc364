"""A message as one multi-line response: piece by piece, or whole where all of it is at hand.

Owns the status line, the byte-stuffing and the end, and what is short enough to be sent without waiting. Refuses to
know where the octets come from.
RFC 1939 §3 (multi-line responses), §5 RETR, §7 TOP.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from service.model.message import StoredMessage
from service.net.outlet import SLICE, Outlet
from service.protocol.bytestuffing import Stuffer, TopCut
from service.protocol.pop3 import responses

AT_ONCE_OCTETS = 64 * 1024
"""Octets of a message that may be sent between two commands: some ten microseconds' work, less than a short listing."""


async def send_message(
    outlet: Outlet, message: StoredMessage, pieces: AsyncGenerator[bytes, None], lines: int | None
) -> None:
    """Send a message, or its header and `lines` lines; no status line leaves before there are octets to follow it."""
    head = responses.retrieved(message.octets) if lines is None else responses.OK
    cut = None if lines is None else TopCut(message.header_octets, lines)
    stuffer = Stuffer()
    async with aclosing(pieces) as given:
        async for piece in given:
            if lines != 0 and len(piece) == message.octets:
                # All of it in one piece is verified, and known to have the lines that were stored.
                stuffer = Stuffer(dotted=message.blob.dotted)
            passed = cut.feed(piece) if cut else piece
            if len(passed) > SLICE:
                # Joining what is long would copy it.
                outlet.write(head)
                head = b""
            for part in _parts(passed, message):
                await outlet.send(head + stuffer.feed(part))
                head = b""
            if cut and cut.done:
                break
    await outlet.send(head + (stuffer.feed(cut.finish()) if cut else b"") + stuffer.finish())


def _parts(octets: bytes, message: StoredMessage) -> Iterable[bytes]:
    """What of a message is stuffed at a time: where that changes it a slice, so that no long copy stands beside it."""
    if not message.blob.dotted or len(octets) <= SLICE:
        return (octets,)
    return (octets[start : start + SLICE] for start in range(0, len(octets), SLICE))


def whole_message(message: StoredMessage, octets: bytes) -> bytes:
    """The response to RETR, from its status line to its termination."""
    stuffer = Stuffer(dotted=message.blob.dotted)
    return b"".join((responses.retrieved(message.octets), stuffer.feed(octets), stuffer.finish()))
