"""Blobs that are gone, cut short or changed, and a store that is away, under real sessions. F7, F8; G1, G8, G14.

RFC 3206 §4: "The SYS/TEMP response code indicates a problem which is likely to be temporary in nature".
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.system.clients.letters import ATTACHMENT, DOTTED, PLAIN, Handed

# Streamed in pieces, and more than the sockets between the two ends hold.
BIG = Handed("big", ATTACHMENT.text * 2, ATTACHMENT.text * 2)
TEMPORARY = b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n"
DAMAGED = b"-ERR [SYS/PERM] Message damaged in storage, please tell the postmaster\r\n"


FURTHER = 1_200_000
"""Octets after which the second part of a large message has begun."""


def delivered(site: Site, *letters: Handed) -> list[Path]:
    """Deliver letters; each one's blob."""
    blobs: list[Path] = []
    for letter in letters:
        before = set(site.blobs)
        site.deliver(letter)
        blobs += set(site.blobs) - before
    assert len(blobs) == len(letters)
    return blobs


def lose(blob: Path) -> None:
    blob.unlink()


def cut(blob: Path) -> None:
    os.truncate(blob, blob.stat().st_size - 20)


def change(blob: Path) -> None:
    with blob.open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"?")


def put_in(octets: bytes, after: int = 5_000) -> Callable[[Path], None]:
    """Have these octets stand in a message, so far after its header, where others stood."""

    def harm(blob: Path) -> None:
        with blob.open("r+b") as file:
            file.seek(blob.read_bytes().index(b"\r\n\r\n") + after)
            file.write(octets)

    return harm


@pytest.mark.parametrize("harm", [lose, cut, change])
def test_f8_a_damaged_message_is_refused_and_everything_else_is_as_it_was(
    site: Site, harm: Callable[[Path], None]
) -> None:
    blobs = delivered(site, PLAIN, DOTTED, PLAIN)
    whole = site.messages("a")
    wire = site.session("a")
    stat = wire.say(b"STAT")
    harm(blobs[1])
    assert wire.say(b"RETR 2") == DAMAGED
    assert wire.say(b"STAT") == stat
    for number in (1, 3):
        assert wire.say(b"RETR %d" % number).startswith(b"+OK")
        assert wire.multi_line() == whole[number - 1]
    assert wire.say(b"QUIT") == b"+OK Bye\r\n"
    assert site.session("b").say(b"LIST 2") == b"+OK 2 %d\r\n" % len(whole[1])


@pytest.mark.parametrize("harm", [put_in(b"\r\n.\r\n"), put_in(b"x\n.\r\n")])
def test_f8_a_large_message_that_is_damaged_where_it_begins_is_refused(
    site: Site, harm: Callable[[Path], None]
) -> None:
    (blob,) = delivered(site, BIG)
    harm(blob)
    wire = site.session("a")
    for command in (b"RETR 1", b"TOP 1 1", b"TOP 1 99999999"):
        assert wire.say(command) == DAMAGED
    assert wire.say(b"QUIT") == b"+OK Bye\r\n"


@pytest.mark.parametrize("harm", [cut, change, put_in(b"\r\n.\r\n", FURTHER), put_in(b"x\n.\r\n", FURTHER)])
def test_f8_a_large_damaged_message_never_comes_to_its_dot(site: Site, harm: Callable[[Path], None]) -> None:
    (blob,) = delivered(site, BIG)
    harm(blob)
    wire = site.session("a")
    assert wire.say(b"DELE 1\r\nRSET").startswith(b"+OK")
    assert wire.line().startswith(b"+OK")
    assert wire.say(b"RETR 1").startswith(b"+OK")
    assert not wire.ends_with_a_dot()
    # The connection ended without QUIT: the maildrop is free, and nothing was removed.
    assert site.session_once_free("b").say(b"STAT").startswith(b"+OK 1 ")


@contextmanager
def root_away(site: Site) -> Iterator[None]:
    """Take the store's whole directory away while the block runs."""
    root, away = site.folder / "blobs", site.folder / "away"
    root.rename(away)
    try:
        yield
    finally:
        away.rename(root)


def test_f7_a_store_that_is_away_is_temporary_for_readers_and_senders_and_loses_nothing(site: Site) -> None:
    delivered(site, PLAIN, DOTTED)
    whole = site.messages("a")
    wire = site.session("a")
    with root_away(site):
        assert wire.say(b"RETR 2") == TEMPORARY
        assert wire.say(b"TOP 1 0") == TEMPORARY
        assert wire.say(b"LIST 2") == b"+OK 2 %d\r\n" % len(whole[1])
        with pytest.raises(AssertionError, match=r"451 4\.3\.0 "):
            site.deliver(PLAIN)
    assert wire.say(b"RETR 2").startswith(b"+OK")
    assert wire.multi_line() == whole[1]
    assert wire.say(b"QUIT") == b"+OK Bye\r\n"
    site.deliver(PLAIN)
    assert site.messages("b")[:2] == whole
