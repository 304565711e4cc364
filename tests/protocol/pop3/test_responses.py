"""Every refusal's response: its code, its octets and the words that clients look for.

RFC 2449 §3, §8, §8.1.1 and §8.1.2, RFC 3206 §4 to §6.
"""

import pytest

from service.model.refusal import Reason
from service.protocol.pop3 import responses

TRANSIENT = (
    Reason.TOO_MANY_SESSIONS,
    Reason.DAY_USED_UP,
    Reason.UNAVAILABLE,
    Reason.OVERLOADED,
    Reason.DRAINING,
    Reason.LOST,
    Reason.UNKNOWN_OUTCOME,
)


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_is_one_line_of_at_most_512_octets(reason: Reason) -> None:
    line = responses.refusal(reason)
    assert line.startswith(b"-ERR [")
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    assert len(line) <= 512
    assert line.isascii()


@pytest.mark.parametrize("reason", TRANSIENT)
def test_a_transient_refusal_says_so_and_asks_fetchmail_to_wait(reason: Reason) -> None:
    line = responses.refusal(reason)
    assert line.startswith(b"-ERR [SYS/TEMP] ")
    assert b"wait" in line


def test_only_credential_refusals_carry_auth() -> None:
    assert [reason for reason in Reason if b"[AUTH]" in responses.refusal(reason)] == [Reason.CREDENTIALS]


def test_a_lock_is_named_as_such() -> None:
    assert responses.refusal(Reason.IN_USE).startswith(b"-ERR [IN-USE] ")
    assert b"lock" in responses.refusal(Reason.IN_USE)


def test_a_login_delay_is_named_as_such() -> None:
    assert responses.refusal(Reason.LOGIN_DELAY).startswith(b"-ERR [LOGIN-DELAY] ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, b"1 minute"),
        (60.1, b"2 minutes"),
        (3600, b"1 hour"),
        (7261, b"2 hours 2 minutes"),
        (86_400, b"24 hours"),
    ],
)
def test_who_used_up_the_day_is_told_when_to_come_back(seconds: float, words: bytes) -> None:
    line = responses.refusal(Reason.DAY_USED_UP, seconds)
    assert line == b"-ERR [SYS/TEMP] Octets of the day are used up, please wait " + words + b"\r\n"


def test_damage_asks_for_a_person() -> None:
    assert responses.refusal(Reason.BROKEN).startswith(b"-ERR [SYS/PERM] ")


def test_g14_a_policy_that_can_t_be_obeyed_is_a_fault_that_may_pass() -> None:
    assert responses.refusal(Reason.INVALID) == responses.refusal(Reason.UNAVAILABLE)


def test_the_greeting_offers_no_apop() -> None:
    assert responses.GREETING.startswith(b"+OK ")
    assert b"<" not in responses.GREETING


def test_an_empty_challenge_is_exactly_plus_and_space() -> None:
    assert responses.challenge(b"") == b"+ \r\n"
