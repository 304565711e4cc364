"""What CAPA lists in which state.

RFC 2449 §5 and §6, RFC 2595 §2.3, §4, §6 and §8, RFC 3206 §6, RFC 5034 §3, RFC 6856 §2, RFC 8314 §4.
"""

from service.model.policy import Announced, Policy
from service.protocol.pop3.capabilities import after_login, before_login
from tests.protocol.pop3.world import CLEAR, TLS, World


def test_in_clear_no_login_is_listed_but_stls_is() -> None:
    lines = before_login(CLEAR, stls=True)
    assert "STLS" in lines
    assert not [line for line in lines if line.split()[0] in {"USER", "SASL"}]


def test_within_tls_logins_are_listed_and_stls_is_not() -> None:
    lines = World(TLS).send(b"CAPA\r\n").decode().split("\r\n")
    assert "USER" in lines
    assert "SASL PLAIN LOGIN" in lines
    assert "STLS" not in lines


def test_the_capabilities_of_authorization_are_listed_after_login_too() -> None:
    before = set(before_login(TLS, stls=False))
    assert before <= set(after_login(TLS, Policy()))


def test_response_codes_are_announced_in_both_states() -> None:
    for lines in (before_login(TLS, stls=False), after_login(TLS, Policy())):
        assert {"RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "TOP", "UIDL"} <= set(lines)


def test_implementation_is_told_after_login_only() -> None:
    assert not any(line.startswith("IMPLEMENTATION") for line in before_login(TLS, stls=False))
    assert "IMPLEMENTATION Poplar" in after_login(TLS, Policy())


def test_expire_never_is_said_when_nothing_expires() -> None:
    assert "EXPIRE NEVER" in before_login(TLS, stls=False)
    assert "EXPIRE NEVER" in after_login(TLS, Policy())


def test_the_smallest_retention_is_announced_before_login_and_the_true_one_after() -> None:
    around = TLS._replace(announced=Announced(expire_days=30, expire_varies=True))
    assert "EXPIRE 30 USER" in before_login(around, stls=False)
    assert "EXPIRE 60" in after_login(around, Policy(expire_days=60))


def test_the_retention_of_what_was_retrieved_is_announced_where_it_is_the_smaller_one() -> None:
    for expire, retrieved, told in ((60, 14, "14"), (7, 14, "7"), (None, 0, "0"), (None, None, "NEVER")):
        policy = Policy(expire_days=expire, retrieved_days=retrieved)
        assert f"EXPIRE {told}" in after_login(TLS, policy)


def test_the_largest_login_delay_is_announced_before_login_and_the_true_one_after() -> None:
    around = TLS._replace(announced=Announced(login_delay=900, login_delay_varies=True))
    assert "LOGIN-DELAY 900 USER" in before_login(around, stls=False)
    assert "LOGIN-DELAY 60" in after_login(around, Policy(login_delay=60))
    assert "LOGIN-DELAY 0" in after_login(around, Policy())
    assert not any(line.startswith("LOGIN-DELAY") for line in after_login(TLS, Policy()))


def test_a_value_that_doesn_t_vary_is_announced_without_user() -> None:
    around = TLS._replace(announced=Announced(login_delay=900, expire_days=30))
    lines = before_login(around, stls=False)
    assert "LOGIN-DELAY 900" in lines
    assert "EXPIRE 30" in lines


def test_utf8_is_listed_only_by_setting_and_accepted_always() -> None:
    listing = TLS._replace(utf8_listed=True)
    assert "UTF8 USER" in before_login(listing, stls=False)
    assert "UTF8 USER" in after_login(listing, Policy())
    assert not any(line.startswith("UTF8") for line in before_login(TLS, stls=False))
    assert World(TLS).send(b"UTF8\r\n") == b"+OK\r\n"


def test_no_capability_is_experimental_or_over_512_octets() -> None:
    for line in (*before_login(CLEAR, stls=True), *after_login(TLS, Policy())):
        assert not line.startswith("X")
        assert len(line) + 2 <= 512
