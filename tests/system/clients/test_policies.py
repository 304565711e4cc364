"""Real mail programs meet what the policy makes of DELE, of numbers and of what is shown.

RFC 1939 §5 (DELE), §6 (UPDATE), §7 (UIDL).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from service.model.policy import PolicyValue
from tests.system.clients.letters import DOTTED, EMPTY, PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.clients.program import Program, Way, needed, place, run
from tests.system.clients.programs import Curl, Fetchmail, Getmail, Mpop, Poplib

LETTERS = (PLAIN, DOTTED, EMPTY)
PROGRAMS: list[Program] = [Curl(), Fetchmail(), Getmail(), Mpop(), Poplib()]
EACH = pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS])


def expected(program: Program, messages: list[bytes]) -> list[bytes]:
    return sorted(program.stored(letter, message) for letter, message in zip(LETTERS, messages, strict=True))


@EACH
def test_what_a_program_removes_is_kept_where_the_policy_says_so(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(dele="keep")
    done = program.fetch(home, maildrop, Way.TLS, keep=False)
    assert (done.code, sorted(done.brought)) == (0, expected(program, messages)), done.said
    assert maildrop.messages == messages


@EACH
def test_what_a_program_removed_with_undo_can_be_had_back_and_comes_anew(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(dele="undo", undo_days=30)
    first = program.fetch(home, maildrop, Way.TLS, keep=False)
    assert (first.code, maildrop.stat) == (0, (0, 0)), first.said
    assert maildrop.restore_all() == len(LETTERS)
    again = program.fetch(home, maildrop, Way.TLS, keep=False)
    assert (again.code, sorted(again.brought)) == (0, expected(program, messages)), again.said


@EACH
def test_a_program_that_may_not_remove_gets_its_mail_all_the_same(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(dele="refuse")
    done = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert (done.code, sorted(done.brought)) == (0, expected(program, messages)), done.said
    assert maildrop.messages == messages


@pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS[1:]])
def test_a_program_that_removes_without_leave_is_told_and_nothing_is_lost(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(dele="refuse")
    program.fetch(home, maildrop, Way.TLS, keep=False)
    assert maildrop.messages == messages


def test_curl_is_told_that_it_may_not_remove(maildrop: Maildrop, home: Path) -> None:
    maildrop.fill(LETTERS)
    maildrop.set_policy(dele="refuse")
    refused = Curl().asked(home, maildrop, Way.TLS, "1", "DELE", "head")
    assert refused.code != 0
    assert maildrop.stat[0] == len(LETTERS)


@EACH
def test_every_message_comes_once_though_the_newest_is_the_first(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(order="newest")
    first = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert (first.code, sorted(first.brought)) == (0, expected(program, messages)), first.said
    assert maildrop.messages == messages[::-1]
    maildrop.deliver([PLAIN])
    newest = maildrop.messages[0]
    second = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert (second.code, second.brought) == (0, [program.stored(PLAIN, newest)]), second.said


@pytest.mark.parametrize("program", [pytest.param(p, id=p.name) for p in (Getmail(), Mpop(), Poplib())])
def test_r27_what_a_program_left_is_gone_with_its_quit_where_nothing_may_be_left(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(retrieved_days=0)
    first = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert first.code == 0, first.said
    maildrop.set_policy(retrieved_days=None)
    assert maildrop.stat == (0, 0)
    assert sorted(first.brought) == expected(program, messages)


def test_what_fetchmail_keeps_is_not_retrieved_as_it_reads_with_top(maildrop: Maildrop, home: Path) -> None:
    messages, program = maildrop.fill(LETTERS), Fetchmail()
    maildrop.set_policy(retrieved_days=0)
    first = program.fetch(home, maildrop, Way.TLS, keep=True)
    assert (first.code, sorted(first.brought)) == (0, expected(program, messages)), first.said
    assert maildrop.stat[0] == len(LETTERS)


def test_r27_curl_s_every_run_is_a_session_that_takes_away_what_it_brought(maildrop: Maildrop, home: Path) -> None:
    messages = maildrop.fill(LETTERS)
    maildrop.set_policy(retrieved_days=0)
    assert b"EXPIRE 0\r\n" in Curl().asked(home, maildrop, Way.TLS, "", "CAPA").brought[0]
    brought = [Curl().asked(home, maildrop, Way.TLS, "1").brought for _ in LETTERS]
    assert brought == [[message] for message in messages]
    assert maildrop.stat == (0, 0)


@EACH
@pytest.mark.parametrize("policy", [{"shown_days": 30}, {"shown_since": f"{datetime.now(UTC) - timedelta(days=1):%F}"}])
def test_a_program_gets_and_removes_what_is_shown_and_the_rest_stays(
    program: Program, maildrop: Maildrop, home: Path, policy: dict[str, PolicyValue]
) -> None:
    old = maildrop.import_from_the_past([PLAIN], timedelta(days=31))
    maildrop.deliver(LETTERS)
    messages = maildrop.messages[1:]
    maildrop.set_policy(**policy)
    done = program.fetch(home, maildrop, Way.TLS, keep=False)
    assert (done.code, sorted(done.brought)) == (0, expected(program, messages)), done.said
    assert maildrop.stat == (0, 0)
    maildrop.set_policy(**dict.fromkeys(policy))
    assert maildrop.messages == old


@pytest.mark.parametrize("program", [pytest.param(p, id=p.name) for p in (Fetchmail(), Getmail(), Mpop(), Poplib())])
def test_a_program_that_asks_for_recent_mail_gets_the_last_thirty_days(
    program: Program, maildrop: Maildrop, home: Path
) -> None:
    maildrop.import_from_the_past([PLAIN], timedelta(days=31))
    maildrop.deliver(LETTERS)
    done = program.fetch(home, maildrop.recent, Way.TLS, keep=True)
    assert (done.code, sorted(done.brought)) == (0, expected(program, maildrop.messages[1:])), done.said
    maildrop.set_policy(recent_days=None)
    refused = program.fetch(home, maildrop.recent, Way.TLS, keep=True)
    assert refused.code != 0
    assert refused.brought == []
    assert maildrop.stat[0] == len(LETTERS) + 1


def test_curl_asks_for_recent_mail_by_the_name_in_its_url(maildrop: Maildrop, home: Path) -> None:
    maildrop.import_from_the_past([PLAIN], timedelta(days=31))
    maildrop.deliver([DOTTED])
    at, name, password = (
        place(maildrop, Way.TLS),
        *map(quote, (maildrop.recent.account.address, maildrop.account.password)),
    )
    url = f"pop3s://{name}:{password}@{at}/1".replace("recent:", "recent%3A")
    done = run(home, needed("curl"), "--silent", "--show-error", "--cacert", str(maildrop.demo.ca_file), url)
    assert done.stdout == maildrop.messages[1], done.stderr
