"""Postgres ended under front ends that may let people read on meanwhile. F6; G2, G4, G11, G14.

RFC 3206 §4: "The SYS/TEMP response code indicates a problem which is likely to be temporary in nature".
"""

import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.conftest import await_true
from tests.faults.own_postgres import OwnPostgres, own_postgres
from tests.faults.site import Site, maildrop_of_ones_own, site_in, valkey_in
from tests.system.clients.letters import DOTTED, PLAIN
from tests.system.clients.maildrop import Wire

__all__ = ["own_postgres"]

TEMPORARY = b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n"
HASTY = {"deadline": 3.0, "attempt": 1.5}


@pytest.fixture(scope="module")
def house(own_postgres: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An LMTP process, two front ends that let people read on, and one that doesn't, as is the default."""
    folder = tmp_path_factory.mktemp("site")
    with valkey_in(folder / "valkey") as valkey, site_in(folder, own_postgres.server.dsn(), valkey) as site:
        site.run("lmtp", "lmtp")
        for name in ("a", "b"):
            site.run(name, "serve", database=HASTY, outage={"read_only": True})
        site.run("plain", "serve", database=HASTY)
        yield site


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    """The installation, with two messages in a maildrop of its own."""
    with maildrop_of_ones_own(house):
        house.deliver(PLAIN, DOTTED)
        yield house


@contextmanager
def away(postgres: OwnPostgres) -> Iterator[None]:
    """Postgres is down while the block runs."""
    postgres.end(signal.SIGINT)
    try:
        yield
    finally:
        postgres.start()


def remembered(site: Site, at: str) -> float:
    """How many maildrops a front end came to remember."""
    [url] = [line["http"] for line in site.log(at) if line["event"] == "serving"]
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("poplar_maildrops_remembered_total"))


def read(wire: Wire) -> tuple[bytes, list[bytes], list[bytes]]:
    """STAT, the lines of LIST and UIDL, and each message."""
    stat = wire.say(b"STAT")
    listings = []
    for verb in (b"LIST", b"UIDL"):
        assert wire.say(verb).startswith(b"+OK")
        listings.append(wire.multi_line())
    texts = []
    for number in range(1, int(stat.split()[1]) + 1):
        assert wire.say(b"RETR %d" % number).startswith(b"+OK")
        texts.append(wire.multi_line())
    return stat, listings, texts


def session_that_is_remembered(site: Site, at: str) -> tuple[bytes, list[bytes], list[bytes]]:
    """What a session read, once the front end remembers it too."""
    before = remembered(site, at)
    wire = site.session_once_free(at)
    seen = read(wire)
    await_true(lambda: remembered(site, at) > before, "the maildrop to be remembered")
    assert wire.say(b"QUIT") == b"+OK Bye\r\n"
    wire.close()
    return seen


def test_f6_who_read_lately_reads_on_and_removes_nothing(site: Site, own_postgres: OwnPostgres) -> None:
    seen = session_that_is_remembered(site, "a")
    with away(own_postgres):
        wire, answer = site.log_in("a")
        assert answer.startswith(b"+OK Maildrop locked and read-only for now, 2 messages")
        assert read(wire) == seen
        assert wire.say(b"TOP 1 0").startswith(b"+OK")
        wire.multi_line()
        assert wire.say(b"DELE 1") == (
            b"-ERR [SYS/TEMP] The maildrop can only be read for now, please wait to remove messages\r\n"
        )
        assert site.log_in("a")[1].startswith(b"-ERR [IN-USE] ")
        assert wire.say(b"STAT") == seen[0]
        assert wire.say(b"QUIT") == b"+OK Bye\r\n"
        again, answer = site.log_in("a")
        assert answer.startswith(b"+OK Maildrop locked and read-only")
    assert again.say(b"NOOP") == b"+OK\r\n"
    assert again.say(b"QUIT") == b"+OK Bye\r\n"
    wire = site.session_once_free("plain")
    assert read(wire) == seen
    assert wire.say(b"DELE 1") == b"+OK\r\n"
    assert wire.say(b"QUIT") == b"+OK Bye, 1 message removed\r\n"


def test_g14_who_is_not_remembered_or_has_another_password_hears_of_an_outage(
    site: Site, own_postgres: OwnPostgres
) -> None:
    session_that_is_remembered(site, "a")
    site.session_once_free("plain").say(b"QUIT")
    with away(own_postgres):
        wire = site.greeted("a")
        wire.say(b"USER " + site.address.encode())
        assert wire.say(b"PASS wrong") == TEMPORARY
        wire.say(b"USER nobody@orchard.example")
        assert wire.say(b"PASS wrong") == TEMPORARY
        assert site.log_in("b")[1] == TEMPORARY
        assert site.log_in("plain")[1] == TEMPORARY


def test_g14_a_front_end_never_shows_less_than_another_one_showed_since(site: Site, own_postgres: OwnPostgres) -> None:
    session_that_is_remembered(site, "a")
    site.deliver(PLAIN)
    newer = session_that_is_remembered(site, "b")
    with away(own_postgres):
        assert site.log_in("a")[1] == TEMPORARY
        wire, answer = site.log_in("b")
        assert answer.startswith(b"+OK Maildrop locked and read-only for now, 3 messages")
        assert read(wire) == newer
        wire.say(b"QUIT")


def test_g14_after_a_removal_nothing_is_remembered(site: Site, own_postgres: OwnPostgres) -> None:
    session_that_is_remembered(site, "a")
    wire = site.session_once_free("a")
    assert wire.say(b"DELE 1") == b"+OK\r\n"
    assert wire.say(b"QUIT") == b"+OK Bye, 1 message removed\r\n"
    with away(own_postgres):
        assert site.log_in("a")[1] == TEMPORARY
    assert len(site.messages("plain")) == 1


def test_f4_without_the_note_of_who_was_shown_last_nothing_is_reopened(site: Site, own_postgres: OwnPostgres) -> None:
    session_that_is_remembered(site, "a")
    with site.valkey.client() as client:
        client.flushall()
    with away(own_postgres):
        assert site.log_in("a")[1] == TEMPORARY
