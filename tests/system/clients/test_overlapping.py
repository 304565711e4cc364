"""Two programs at one maildrop: the second one is told to come again, believes it, and does. G4, G6.

RFC 2449 §8.1.2 (IN-USE), RFC 1939 §4 (exclusive access).
"""

from pathlib import Path

import pytest

from tests.cli.conftest import await_true
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.clients.program import Program, Way
from tests.system.clients.programs import Curl, Fetchmail, Getmail, Mpop, Poplib

LOCK_BUSY = 9
"""fetchmail(1), EXIT CODES: "The POP3 server reported the maildrop locked"; an authorization failure would be 3."""


def test_a_second_login_is_told_that_the_maildrop_is_in_use(maildrop: Maildrop) -> None:
    with maildrop.session():
        second, answer = maildrop.log_in(maildrop.demo.place("pop3s"))
        assert answer.startswith(b"-ERR [IN-USE] ")
        assert second.say(b"QUIT").startswith(b"+OK")
        second.close()
    assert maildrop.stat == (0, 0)


def test_fetchmail_takes_a_lock_for_transient_and_recovers(maildrop: Maildrop, home: Path) -> None:
    messages, program = maildrop.fill([PLAIN]), Fetchmail()
    with maildrop.session():
        refused = program.fetch(home, maildrop, Way.TLS, keep=True)
        assert (refused.code, refused.brought) == (LOCK_BUSY, []), refused.said
    again = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert (again.code, again.brought) == (0, [program.stored(PLAIN, messages[0])]), again.said


@pytest.mark.parametrize(
    "program", [pytest.param(each, id=each.name) for each in (Curl(), Getmail(), Mpop(), Poplib())]
)
def test_a_program_that_came_second_gets_everything_when_it_comes_again(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill([PLAIN])
    with maildrop.session() as first:
        assert first.say(b"DELE 1").startswith(b"+OK")
        refused = program.fetch(home, maildrop, Way.TLS, keep=False)
        assert refused.code != 0
        assert refused.brought == []
        assert first.say(b"RSET").startswith(b"+OK")
    again = program.fetch(home, maildrop, Way.TLS, keep=False)
    assert again.brought == [program.stored(PLAIN, messages[0])], again.said
    assert maildrop.stat == (0, 0)


def test_a_maildrop_is_free_as_soon_as_its_first_session_is_cut(maildrop: Maildrop) -> None:
    wire, answer = maildrop.log_in(maildrop.demo.place("pop3s"))
    assert answer.startswith(b"+OK")
    wire.close()
    await_true(lambda: maildrop.is_free, "the maildrop to be free")
