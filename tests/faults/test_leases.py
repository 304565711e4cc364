"""Front ends paused, and Redis paused, gone, emptied or full, under real sessions. F2, F3, F4, F12; G3-G6, G14.

RFC 1939 §4: "the POP3 server then acquires an exclusive-access lock on the maildrop, as necessary to prevent messages
from being modified or removed before the session enters the UPDATE state."
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.site import Site, paused
from tests.system.clients.letters import DOTTED, EIGHT_BIT, PLAIN
from tests.system.clients.maildrop import Wire

LOST = b"-ERR [SYS/TEMP] This session no longer holds the maildrop, please wait; no message was removed\r\n"
GONE = b"+OK Bye, 1 message removed\r\n"


@pytest.fixture(autouse=True)
def three_messages(site: Site) -> None:
    site.deliver(PLAIN, DOTTED, EIGHT_BIT)


@pytest.fixture
def older(site: Site, three_messages: None) -> Wire:
    """A session at `a` that marked message 1."""
    wire = site.session("a")
    assert wire.say(b"DELE 1") == b"+OK\r\n"
    site.await_held_by("a")
    return wire


def is_told_that_it_lost(wire: Wire) -> bool:
    """Whether the session is told of a newer one, without having been asked, and closed."""
    return (wire.line(), wire.line()) == (LOST, b"")


def goes_on(wire: Wire) -> bool:
    return wire.say(b"NOOP") == b"+OK\r\n"


@contextmanager
def redis_full(site: Site) -> Iterator[None]:
    with site.valkey.client() as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


def test_f2_who_was_paused_longer_than_its_lease_removes_nothing(site: Site, older: Wire) -> None:
    with paused(site.pid("a")):
        older.sock.sendall(b"QUIT\r\n")
        newer = site.session_once_free("b")
        assert newer.say(b"DELE 2") == b"+OK\r\n"
    assert older.line() == LOST
    assert newer.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f2_who_was_paused_while_another_came_and_went_is_told_and_keeps_nobody_out(site: Site, older: Wire) -> None:
    with paused(site.pid("a")):
        visitor = site.session_once_free("b")
        assert visitor.say(b"DELE 2") == b"+OK\r\n"
        assert visitor.say(b"QUIT") == GONE
    assert is_told_that_it_lost(older)
    assert len(site.messages("b")) == 2


def test_f2_a_front_end_paused_in_the_middle_of_a_login_removes_nothing_of_the_next_session(site: Site) -> None:
    slow = site.greeted("a")
    with paused(site.pid("a")):
        slow.sock.sendall(site.login)
        other = site.session_once_free("b")
        assert other.say(b"DELE 1") == b"+OK\r\n"
    # Either one may come first; whoever is told +OK holds the maildrop, and only one removes.
    assert slow.line().startswith(b"+OK")
    answer = slow.line()
    assert answer.startswith(b"-ERR [IN-USE] "), answer
    assert other.say(b"QUIT") == GONE


def test_f3_a_login_while_redis_hangs_replaces_the_older_session_which_is_told_so(site: Site, older: Wire) -> None:
    with paused(site.valkey.pid):
        newest = site.session("b")
        assert newest.say(b"DELE 2") == b"+OK\r\n"
        assert is_told_that_it_lost(older)
    assert goes_on(newest)
    assert newest.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f3_the_newest_session_goes_on_when_redis_is_back_with_all_its_leases(site: Site, older: Wire) -> None:
    with paused(site.valkey.pid):
        newest = site.session("b")
        assert newest.say(b"DELE 2") == b"+OK\r\n"
    assert is_told_that_it_lost(older)
    site.await_held_by("b")
    _, answer = site.log_in("b")
    assert answer.startswith(b"-ERR [IN-USE] "), answer
    assert newest.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f3_logins_go_on_while_redis_is_gone_and_sessions_outlive_its_restart(site: Site, older: Wire) -> None:
    older.close()
    site.valkey.kill()
    for _ in range(3):
        assert site.session("a").say(b"QUIT") == b"+OK Bye\r\n"
    only = site.session("a")
    assert only.say(b"DELE 3") == b"+OK\r\n"
    site.valkey.start()
    site.await_held_by("a")
    _, answer = site.log_in("b")
    assert answer.startswith(b"-ERR [IN-USE] "), answer
    assert only.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f4_who_logs_in_first_after_redis_forgot_everything_is_the_newest(site: Site, older: Wire) -> None:
    with paused(site.pid("a")):
        with site.valkey.client() as client:
            client.flushall()
        newest = site.session("b")
        assert newest.say(b"DELE 2") == b"+OK\r\n"
    assert is_told_that_it_lost(older)
    assert newest.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f4_a_session_that_redis_forgot_holds_its_maildrop_again_and_removes(site: Site, older: Wire) -> None:
    with site.valkey.client() as client:
        client.flushall()
    site.await_held_by("a")
    _, answer = site.log_in("b")
    assert answer.startswith(b"-ERR [IN-USE] "), answer
    assert older.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2


def test_f12_logins_and_removals_go_on_while_redis_is_full(site: Site, older: Wire) -> None:
    with redis_full(site):
        site.await_held_by()
        newest = site.session("b")
        assert newest.say(b"DELE 2") == b"+OK\r\n"
        assert is_told_that_it_lost(older)
    assert newest.say(b"QUIT") == GONE
    assert len(site.messages("b")) == 2
