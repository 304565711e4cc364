"""The messages of a campaign: each with an identity that is read off whatever comes back.

Owns how a text is made and recognised. RFC 5322 §3.6.4 (Message-ID), RFC 1939 §3 (byte-stuffing).
"""

import hashlib
import random
import re
from dataclasses import dataclass

IDENTITY = re.compile(rb"^Message-ID: <(\d+)@history>\r$", re.MULTILINE)
OCTETS = (200, 1_000, 5_000, 20_000)
LARGE = (200_000, 1_500_000, 2_500_000)
"""The last ones are streamed, in pieces of 1 MiB."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as its sender has it."""

    identity: int
    octets: bytes

    @property
    def facts(self) -> dict[str, object]:
        return {"text": self.identity, "octets": len(self.octets), "sha256": sha256(self.octets)}

    @property
    def stuffed(self) -> bytes:
        """The text as DATA sends it, with its end."""
        return re.sub(rb"(?m)^\.", b"..", self.octets) + b".\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """A text as a client received it: the lines that Poplar put before it apart."""

    identity: int | None
    trace: bytes
    octets: bytes

    @property
    def facts(self) -> dict[str, object]:
        return {
            "octets": len(self.trace) + len(self.octets),
            "sha256": sha256(self.trace + self.octets),
            "sent": sha256(self.octets),
            "text": self.identity,
        }


def make_text(identity: int, dice: random.Random) -> Text:
    """A text of one of some lengths, with lines that begin with dots, and octets over 127."""
    octets = dice.choice(LARGE if dice.random() < 0.03 else OCTETS)
    line = dice.randbytes(32).hex().encode()
    lines = [b".%s\r\n" % line, b".\r\n", b"\xc3\xa9 %s\r\n" % line]
    body = b"".join(lines) * (octets // sum(map(len, lines)) + 1)
    return Text(identity, b"Message-ID: <%d@history>\r\nSubject: campaign\r\n\r\n%s" % (identity, body))


def received(octets: bytes) -> Received:
    """What came, unstuffed."""
    found = IDENTITY.search(octets)
    begin = found.start() if found else 0
    return Received(int(found[1]) if found else None, octets[:begin], octets[begin:])


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
