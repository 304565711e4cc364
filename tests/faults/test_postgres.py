"""Postgres paused, crashed and restarted under real sessions and deliveries. F5, F6; G1-G4, G14, G18.

RFC 3206 §4: "The SYS/TEMP response code indicates a problem which is likely to be temporary in nature".
"""

import signal
import threading
from collections.abc import Iterator

import pytest

from tests.faults.own_postgres import OwnPostgres, own_postgres
from tests.faults.site import Site, maildrop_of_ones_own, paused, site_in, valkey_in
from tests.system.clients.letters import DOTTED, PLAIN
from tests.system.clients.maildrop import Wire

__all__ = ["own_postgres"]

TEMPORARY = b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n"
UNKNOWN = b"-ERR [SYS/TEMP] Outcome unknown, please wait: either all marked messages were removed or none\r\n"
LOST = b"-ERR [SYS/TEMP] This session no longer holds the maildrop, please wait; no message was removed\r\n"
GONE = b"+OK Bye, 2 messages removed\r\n"


@pytest.fixture(scope="module")
def house(own_postgres: OwnPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An LMTP process, a front end that is patient with Postgres and one that is not."""
    folder = tmp_path_factory.mktemp("site")
    with (
        valkey_in(folder / "valkey") as valkey,
        site_in(folder, own_postgres.server.dsn(), valkey) as site,
    ):
        site.run("lmtp", "lmtp", database={"deadline": 60.0, "attempt": 2.0})
        site.run("patient", "serve", database={"deadline": 60.0, "attempt": 2.0})
        site.run("hasty", "serve", database={"deadline": 3.0, "attempt": 1.5})
        site.run("hasty lmtp", "lmtp", database={"deadline": 3.0, "attempt": 1.5})
        yield site


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    """The installation, with two messages in a maildrop of its own."""
    with maildrop_of_ones_own(house):
        house.deliver(PLAIN, DOTTED)
        yield house


def marking_both(site: Site, at: str) -> Wire:
    wire = site.session(at)
    for number in (1, 2):
        assert wire.say(b"DELE %d" % number) == b"+OK\r\n"
    return wire


def test_g3_a_quit_that_postgres_never_answers_removes_all_or_none_and_says_so(
    site: Site, own_postgres: OwnPostgres
) -> None:
    wire = marking_both(site, "hasty")
    with paused(own_postgres.server.pid):
        assert wire.say(b"QUIT") == UNKNOWN
    assert len(site.messages("patient")) in (0, 2)


def test_g14_while_postgres_hangs_everything_is_temporary_and_nothing_is_shortened(
    site: Site, own_postgres: OwnPostgres
) -> None:
    wire = site.session("hasty")
    with paused(own_postgres.server.pid):
        assert wire.say(b"STAT").startswith(b"+OK 2 ")
        assert wire.say(b"LIST") == TEMPORARY
        assert wire.say(b"UIDL 1") == TEMPORARY
        assert site.log_in("hasty")[1] == TEMPORARY
        with pytest.raises(AssertionError, match=r"451 4\.3\.0 "):
            site.deliver(PLAIN, by="hasty lmtp")
    assert wire.say(b"LIST").startswith(b"+OK 2 ")
    assert len(wire.multi_line().splitlines()) == 2
    assert wire.say(b"QUIT") == b"+OK Bye\r\n"


def test_f5_a_restart_delays_a_removal_and_a_delivery_and_fails_neither(site: Site, own_postgres: OwnPostgres) -> None:
    wire = marking_both(site, "patient")
    own_postgres.end(signal.SIGINT)
    wire.sock.sendall(b"QUIT\r\n")
    sender = threading.Thread(target=site.deliver, args=(DOTTED,))
    sender.start()
    own_postgres.start()
    sender.join()
    assert wire.line() == GONE
    (left,) = site.messages("patient")
    assert left.endswith(DOTTED.stored)


def test_f5_after_a_crash_what_was_answered_250_is_there_and_older_sessions_remove_nothing(
    site: Site, own_postgres: OwnPostgres
) -> None:
    older = marking_both(site, "patient")
    site.deliver(PLAIN)
    own_postgres.end(signal.SIGQUIT)
    own_postgres.start()
    assert older.say(b"QUIT") == LOST
    texts = site.messages("patient")
    assert [text.endswith(letter.stored) for text, letter in zip(texts, (PLAIN, DOTTED, PLAIN), strict=True)] == [
        True
    ] * 3
