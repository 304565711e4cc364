"""The keys of SCRAM-SHA-256 and their stored form. RFC 5802 §3, RFC 5803 §1, RFC 7677 §3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.scram import ITERATIONS, ScramKeys, derive_scram, parse_scram
from service.stores.postgres.logins import scram_verifier

keys = st.builds(
    ScramKeys,
    st.binary(min_size=1, max_size=40),
    st.integers(4096, 9_999_999),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)


@given(keys)
def test_the_stored_form_is_read_back(keys: ScramKeys) -> None:
    assert parse_scram(keys.verifier) == keys


def test_the_stored_form_is_the_one_that_postgres_keeps_of_its_own_logins() -> None:
    assert derive_scram("pencil", b"0123456789abcdef", 4096).verifier == scram_verifier("pencil", b"0123456789abcdef")


GOOD = derive_scram("pencil", b"0123456789abcdef", 4096).verifier


@pytest.mark.parametrize(
    "verifier",
    [
        "",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA",
        GOOD.replace("256$", "1$"),
        GOOD.replace("4096", "096"),
        GOOD.replace("4096", "٤٠٩٦"),
        GOOD.replace("4096", "99999999999"),
        GOOD[:-4],
        GOOD + "A",
        GOOD + "\n",
        GOOD.replace("=", "", 2),
        GOOD.rpartition(":")[0] + ":AAAA",
    ],
)
def test_anything_else_is_refused(verifier: str) -> None:
    with pytest.raises(ValueError, match=r"SCRAM|base64|padding|data"):
        parse_scram(verifier)


def test_r83_new_keys_cost_at_least_4096_rounds() -> None:
    assert derive_scram("pencil", b"0123456789abcdef").iterations == ITERATIONS >= 4096


def test_another_salt_makes_other_keys() -> None:
    one, other = derive_scram("pencil", b"one", 4096), derive_scram("pencil", b"other", 4096)
    assert one.stored_key != other.stored_key
    assert one.server_key != other.server_key


def test_keys_show_only_what_every_client_is_told() -> None:
    shown = repr(derive_scram("pencil", b"0123456789abcdef", 4096))
    assert "4096" in shown
    assert "key=" not in shown
