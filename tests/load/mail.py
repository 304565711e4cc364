"""The maildrops that are measured: the same accounts and the same messages for every server.

Owns how many there are, of what, and the files with their text, which each server gets as hard links. Refuses to know
how a server keeps them.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET = "correct-horse-battery-staple"
DOMAIN = "acme.example"
LINKS = 10_000
"""Messages that share a file; ext4 allows 65,000 links."""
HEAD = b"From: Ada <ada@example.org>\r\nTo: Ben <ben@example.org>\r\nSubject: load\r\n\r\n"
LINE = b"The quick brown fox jumps over the lazy dog, and the dog sleeps on and on.\r\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """Maildrops of one kind: `name`0, `name`1, ... each with `messages` messages of about `octets` octets."""

    name: str
    maildrops: int
    messages: int = 0
    octets: int = 2_000
    shared: bool = False
    """Whether its messages share one text on disk: for so many that only their number matters."""
    cheap: bool = False
    """Whether Dovecot keeps its passwords as salted SHA-256, which costs it next to nothing; else as Argon2id."""

    @property
    def text(self) -> bytes:
        """What each message holds, CRLF and all."""
        return HEAD + LINE * ((self.octets - len(HEAD)) // len(LINE))

    @property
    def header_octets(self) -> int:
        return len(HEAD)

    @property
    def user(self) -> str:
        """The client's `--user`."""
        return f"{self.name}#@{DOMAIN}"


def link_texts(kind: Kind, sources: Path, places: Iterator[Path]) -> None:
    """Give each of `places` the text of one message: a file of its own, or a shared one."""
    sources.mkdir(parents=True, exist_ok=True)
    text = kind.text
    for number, place in enumerate(places):
        source = sources / f"{kind.name}-{number // LINKS if kind.shared else number}"
        if not source.exists():
            source.write_bytes(text)
            source.chmod(0o644)
        place.unlink(missing_ok=True)
        os.link(source, place)
