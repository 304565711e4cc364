"""The session's rules beyond single lines: states, refusals, marks, long listings, TLS.

RFC 1939 §3 to §8, RFC 2449 §6.6 and §8.1, RFC 2595 §4, RFC 3206 §5, RFC 5034 §4, RFC 6856 §2 and §2.1.
"""

from array import array
from base64 import b64encode

import pytest

from service.model.ending import Ending
from service.model.listing import DropListing
from service.model.refusal import Reason
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.commands import State
from service.protocol.pop3.marks import SLICE, Marks
from service.protocol.pop3.running import OTHER
from service.protocol.pop3.session import COMMANDS_BOUND, OUTPUT_BOUND
from tests.protocol.pop3.world import CLEAR, NAME, SECRET, TLS, World

LOGIN = f"USER {NAME}\r\nPASS {SECRET}\r\n".encode()


def many(count: int) -> list[bytes]:
    return [b"S: %d\r\n\r\n" % number for number in range(count)]


def test_a_login_needs_no_listing() -> None:
    world = World(TLS)
    world.send(LOGIN + b"STAT\r\n")
    assert not any(isinstance(effect, effects.LoadListing) for effect in world.performed)


def test_the_listing_is_loaded_once() -> None:
    world = World().log_in()
    world.send(b"LIST\r\nUIDL\r\nRETR 1\r\nDELE 2\r\nTOP 3 0\r\n")
    assert sum(isinstance(effect, effects.LoadListing) for effect in world.performed) == 1


def test_marks_of_one_session_are_no_other_s() -> None:
    one, other = World().log_in(), World().log_in()
    one.send(b"DELE 1\r\nRSET\r\nDELE 2\r\nRETR 3\r\n")
    other.send(b"DELE 3\r\n")
    assert one.send(b"LIST 2\r\n").startswith(b"-ERR")
    assert one.send(b"LIST 1\r\n").startswith(b"+OK 1")
    assert other.send(b"LIST 2\r\n").startswith(b"+OK 2")
    third = World().log_in()
    assert third.send(b"STAT\r\n") == b"+OK 3 96\r\n"


def test_an_empty_maildrop_loads_nothing_and_lists_nothing() -> None:
    world = World(messages=[]).log_in()
    assert world.send(b"STAT\r\n") == b"+OK 0 0\r\n"
    assert world.send(b"LIST\r\n") == b"+OK 0 messages (0 octets)\r\n.\r\n"
    assert world.send(b"UIDL\r\n").endswith(b"\r\n.\r\n")
    assert world.send(b"RETR 1\r\n") == b"-ERR No such message\r\n"
    assert world.performed == []


@pytest.mark.parametrize("command", [b"LIST", b"LIST 1", b"UIDL", b"UIDL 1", b"RETR 1", b"TOP 1 0", b"DELE 1"])
def test_g14_a_listing_that_can_t_be_loaded_is_refused_never_shown_empty(command: bytes) -> None:
    world = World(refuse={effects.LoadListing: Reason.UNAVAILABLE}).log_in()
    assert world.send(command + b"\r\n").startswith(b"-ERR [SYS/TEMP]")
    assert world.closed is None
    assert world.send(b"STAT\r\n") == b"+OK 3 96\r\n"
    world.refuse.clear()
    assert world.send(command + b"\r\n").startswith(b"+OK")


@pytest.mark.parametrize("effect", [effects.Retrieve, effects.Top])
def test_a_message_that_can_t_be_read_is_refused_and_the_session_goes_on(effect: type) -> None:
    world = World(refuse={effect: Reason.BROKEN}).log_in()
    command = b"RETR 1\r\n" if effect is effects.Retrieve else b"TOP 1 0\r\n"
    assert world.send(command).startswith(b"-ERR [SYS/PERM]")
    assert world.send(b"NOOP\r\n") == b"+OK\r\n"


@pytest.mark.parametrize("reason", [Reason.LOST, Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME])
def test_g3_a_quit_that_removed_nothing_answers_once_and_closes(reason: Reason) -> None:
    world = World(refuse={effects.Update: reason}).log_in()
    answer = world.send(b"DELE 1\r\nQUIT\r\n")
    assert answer.count(b"\r\n") == 2
    assert answer.split(b"\r\n")[1].startswith(b"-ERR [SYS/TEMP]")
    assert world.closed is Ending.QUIT_FAILED


def test_quit_without_marks_still_releases_the_maildrop() -> None:
    world = World().log_in()
    world.send(b"QUIT\r\n")
    assert world.performed[0] == effects.Update(array("q"))


def test_quit_names_exactly_the_marked_messages() -> None:
    world = World().log_in()
    world.send(b"DELE 3\r\nDELE 1\r\nQUIT\r\n")
    assert effects.Update(array("q", [10, 30])) in world.performed


def test_rset_unmarks_all() -> None:
    world = World().log_in()
    world.send(b"DELE 3\r\nDELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n")
    assert effects.Update(array("q", [20])) in world.performed


def test_nothing_runs_after_quit() -> None:
    world = World().log_in()
    assert world.send(b"QUIT\r\nNOOP\r\nSTAT\r\n") == b"+OK Bye\r\n"
    assert world.send(b"NOOP\r\n") == b""


def test_r11_quit_before_login_enters_no_update() -> None:
    world = World(TLS)
    assert world.send(b"QUIT\r\n") == b"+OK Bye\r\n"
    assert world.performed == [effects.Close(Ending.QUIT)]


def test_r10_a_new_session_starts_with_nothing_marked() -> None:
    world = World().log_in()
    world.send(b"DELE 1\r\n")
    again = World(messages=world.messages).log_in()
    assert again.send(b"STAT\r\n") == b"+OK 3 96\r\n"


@pytest.mark.parametrize("state", [State.AUTHORIZATION, State.TRANSACTION])
def test_r51_what_follows_stls_in_the_same_packet_never_runs(state: State) -> None:
    world = World(CLEAR)
    injected = b"USER evil\r\nPASS x\r\nQUIT\r\nhalf a li"
    assert world.send(b"STLS\r\n" + injected) == b"+OK Begin TLS\r\n"
    assert world.session.state is State.AUTHORIZATION
    assert world.closed is None
    if state is State.TRANSACTION:
        assert world.send(LOGIN).count(b"+OK") == 2
        assert world.send(b"NOOP\r\n") == b"+OK\r\n"
    else:
        assert world.send(b"PASS x\r\n").startswith(b"-ERR Command not valid")


def test_r51_utf8_issued_before_stls_is_not_possible_and_user_before_it_is_forgotten() -> None:
    world = World(CLEAR)
    world.send(b"STLS\r\n")
    assert world.session.utf8 is False
    assert world.session.named is None


def test_r67_a_failed_auth_leaves_the_session_as_before() -> None:
    world = World(TLS)
    world.send(b"AUTH PLAIN AGEAYg==\r\n")
    assert world.send(LOGIN).count(b"+OK") == 2


def test_a_transient_refusal_of_a_login_is_not_counted_as_a_failure() -> None:
    world = World(TLS, refuse={effects.LogIn: Reason.UNAVAILABLE})
    for _ in range(50):
        assert world.send(LOGIN).split(b"\r\n")[1].startswith(b"-ERR [SYS/TEMP]")
    assert world.closed is None


def test_too_many_failed_logins_close_the_connection_after_the_answer() -> None:
    world = World(TLS)
    answer = world.send(b"".join(b"USER a\r\nPASS %d\r\n" % number for number in range(11)))
    assert answer.count(b"-ERR [AUTH]") == TLS.login_failures
    assert world.closed is Ending.LOGIN_FAILURES


@pytest.mark.parametrize("wrong", [b"wrong", b"gr\xfc\xdfe", b"p" * 256], ids=["usable", "Latin-1", "too long"])
def test_thunderbird_s_three_tries_of_one_wrong_password_count_once(wrong: bytes) -> None:
    world = World(TLS._replace(login_failures=2))
    world.send(b"AUTH PLAIN " + b64encode(f"\0{NAME}\0".encode() + wrong) + b"\r\n")
    world.send(b"AUTH LOGIN\r\n" + b64encode(NAME.encode()) + b"\r\n" + b64encode(wrong) + b"\r\n")
    world.send(f"USER {NAME}\r\nPASS ".encode() + wrong + b"\r\n")
    assert world.closed is None
    world.send(f"USER {NAME}\r\nPASS other\r\n".encode())
    assert world.closed is Ending.LOGIN_FAILURES


def test_the_same_wrong_password_over_and_over_closes_the_connection_in_the_end() -> None:
    world = World(TLS._replace(login_failures=2))
    assert world.send(b"USER a\r\nPASS b\r\n" * 50).count(b"-ERR [AUTH]") == 8
    assert world.closed is Ending.LOGIN_FAILURES


@pytest.mark.parametrize("reason", [Reason.IN_USE, Reason.LOGIN_DELAY, Reason.UNAVAILABLE, Reason.OVERLOADED])
def test_r39_r55_a_refusal_other_than_of_credentials_never_says_auth(reason: Reason) -> None:
    world = World(TLS, refuse={effects.LogIn: reason})
    assert b"[AUTH]" not in world.send(LOGIN)


def test_responses_of_a_pipeline_leave_together_up_to_a_bound() -> None:
    world = World(messages=many(400)).log_in()
    world.send(b"LIST\r\n")
    world.session.lines.receive(b"LIST\r\n" * COMMANDS_BOUND)
    output, _, commands, more = world.session.advance()
    assert OUTPUT_BOUND <= len(output) < OUTPUT_BOUND + 5000
    assert commands < COMMANDS_BOUND
    assert more


def test_g16_a_pipeline_pauses_after_some_commands_however_little_they_answer() -> None:
    world = World().log_in()
    world.session.lines.receive(b"NOOP\r\n" * (COMMANDS_BOUND + 1))
    assert world.session.advance()[2:] == (COMMANDS_BOUND, True)
    assert world.session.advance()[2:] == (1, False)


def test_r35_a_hundred_thousand_pipelined_commands_are_answered_in_order() -> None:
    world = World().log_in()
    answer = world.send(b"LIST 1\r\nLIST 2\r\n" * 50_000)
    assert answer == b"+OK 1 41\r\n+OK 2 19\r\n" * 50_000


@pytest.mark.parametrize("count", [SLICE, SLICE + 1, 3 * SLICE])
def test_a_long_listing_leaves_in_slices_and_is_whole(count: int) -> None:
    world = World(messages=many(count)).log_in()
    world.send(b"DELE 7\r\n")
    lines = world.send(b"LIST\r\n").split(b"\r\n")
    assert lines[0].startswith(b"+OK %d messages" % (count - 1))
    assert len(lines) == count + 2
    assert not any(line.startswith(b"7 ") for line in lines)
    ids = world.send(b"UIDL\r\n").split(b"\r\n")[1:-2]
    assert len({line.split()[1] for line in ids}) == count - 1


def test_k9_asks_for_one_unique_id_at_a_time_without_work_for_the_rest() -> None:
    world = World(messages=many(6000)).log_in()
    for number in (1, 3000, 6000):
        assert world.send(b"UIDL %d\r\n" % number).startswith(b"+OK %d " % number)
        assert world.send(b"LIST %d\r\n" % number).startswith(b"+OK %d " % number)


def test_no_limit_of_32_bits_stands_in_the_way_of_totals() -> None:
    world = World().log_in()
    world.session.marks = Marks(DropListing(2**33, 2**40, 9, 0))
    assert world.send(b"STAT\r\n") == b"+OK %d %d\r\n" % (2**33, 2**40)


def test_outlook_s_bare_auth_lists_mechanisms_and_counts_as_no_failure() -> None:
    world = World(TLS)
    for _ in range(30):
        assert world.send(b"AUTH\r\n") == world.send(b"AUTH \r\n") == b"+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"
    assert world.closed is None


def test_thunderbird_gets_ok_to_any_well_formed_user() -> None:
    world = World(TLS)
    for name in (b"nobody", b"no@such.example", "ünïcode@example.org".encode()):
        assert world.send(b"USER " + name + b"\r\n").startswith(b"+OK")


def test_an_unknown_command_does_not_close_the_session() -> None:
    world = World().log_in()
    for _ in range(100):
        world.send(b"XYZZY\r\n")
    assert world.send(b"NOOP\r\n") == b"+OK\r\n"


def test_r94_list_says_what_retr_sends_and_stat_their_sum() -> None:
    world = World().log_in()
    listed = dict(line.split() for line in world.send(b"LIST\r\n").split(b"\r\n")[1:-2])
    for number, octets in listed.items():
        body = world.send(b"RETR " + number + b"\r\n").split(b"\r\n", 1)[1].removesuffix(b".\r\n")
        assert len(b"\r\n".join(line.removeprefix(b".") for line in body.split(b"\r\n"))) == int(octets)
    assert world.send(b"STAT\r\n") == b"+OK 3 %d\r\n" % sum(map(int, listed.values()))


def test_a_retr_names_the_messages_that_follow_for_prefetching() -> None:
    world = World().log_in()
    world.send(b"DELE 2\r\nRETR 1\r\n")
    assert effects.Retrieve(1, 10, 41, (30,)) in world.performed


def test_every_answered_command_is_counted_once_with_its_verb() -> None:
    world = World().log_in()
    world.session.completed.clear()
    world.send(b"NOOP\r\nXYZZY\r\nLIST\r\nRETR 9\r\nRETR 1\r\nRSET x\r\nQUIT\r\n")
    assert world.session.completed == [
        ("NOOP", True),
        ("other", False),
        ("LIST", True),
        ("RETR", False),
        ("RETR", True),
        ("RSET", False),
        ("QUIT", True),
    ]


@pytest.mark.parametrize("octets", [b"x" * 17_000, b"x" * 600, b""])
def test_a_hello_of_tls_in_clear_closes_however_it_is_cut(octets: bytes) -> None:
    hello = b"\x16\x03\x01" + octets + b"\r\nNOOP\r\n"
    whole, cut = World(), World()
    assert whole.send(hello) == b"".join(cut.send(bytes([octet])) for octet in hello) == b""
    assert whole.closed is cut.closed is Ending.FOREIGN
    endless = World()
    assert endless.send(hello[:-8]) == b""
    assert endless.closed is Ending.FOREIGN


def test_nothing_is_heard_after_quit_while_messages_are_removed_or_once_it_closes() -> None:
    world = World().log_in()
    session = world.session
    session.lines.receive(b"QUIT\r\nNOOP\r\n")
    assert session.advance() == (b"", effects.Update(), 1, False)
    session.lines.receive(b"NOOP\r\n" * 1000)
    assert session.buffered == 0
    session.updated()
    assert session.advance() == (responses.BYE, effects.Close(Ending.QUIT), 0, False)
    session.lines.receive(b"NOOP\r\n")
    assert session.buffered == 0


def test_a_response_to_a_challenge_is_never_taken_for_tls() -> None:
    whole, cut = World(), World()
    script = b"AUTH PLAIN\r\n\x16\x03\r\nNOOP\r\n"
    assert whole.send(script) == b"".join(cut.send(bytes([octet])) for octet in script)
    assert cut.closed is None


def test_an_overlong_line_is_counted_as_no_command() -> None:
    world = World().log_in()
    world.session.completed.clear()
    world.send(b"STAT\r\n" + b"x" * 600 + b"\r\n" + b"x" * 20_000 + b"\r\n")
    assert world.session.completed == [("STAT", True), (OTHER, False), (OTHER, False)]
