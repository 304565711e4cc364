"""OAUTHBEARER and XOAUTH2 as pure exchanges: what is a message, and what a client is told of a refusal.

D55; R86 to R89. RFC 7628 §3.1, §3.2, §3.2.2 and §3.2.3; RFC 5801 §4; RFC 6750 §2.1.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.proof import BearerProof
from service.protocol.sasl.exchange import NOTHING_KNOWN, Outside, Verify
from service.protocol.sasl.mechanisms import MECHANISMS

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
KNOWN = Outside(hosts=frozenset({"pop.example.com"}), ports=frozenset({995, 110}))


def answered(mechanism: str, message: bytes, outside: Outside = NOTHING_KNOWN) -> Verify:
    move = MECHANISMS[mechanism].begin(outside).respond(message)
    assert isinstance(move, Verify)
    return move


def oauthbearer(message: str, outside: Outside = NOTHING_KNOWN) -> object:
    return answered("OAUTHBEARER", message.encode(), outside).proof


def xoauth2(message: str) -> object:
    return answered("XOAUTH2", message.encode()).proof


def test_the_example_of_rfc_7628_gives_name_and_token() -> None:
    """RFC 7628 §4.1."""
    message = f"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
    assert oauthbearer(message) == BearerProof("user@example.com", TOKEN)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_r87_unknown_keys_are_ignored_and_the_scheme_s_case_is_free(scheme: str) -> None:
    message = f"n,a=u@a.example,\x01auth={scheme} {TOKEN}\x01mthd=POST\x01path=/x y\x01qs=a=b\x01\x01"
    assert oauthbearer(message) == BearerProof("u@a.example", TOKEN)


def test_a_name_is_unescaped_and_kept_as_it_is() -> None:
    assert oauthbearer("y,a=a=2Cb=3Dｃ@a.example,\x01auth=Bearer t\x01\x01") == BearerProof("a,b=ｃ@a.example", "t")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="nothing"),
        pytest.param("\x01", id="the dummy alone"),
        pytest.param("n,a=u@a.example,\x01\x01", id="no pairs"),
        pytest.param("n,a=u@a.example,\x01host=h\x01\x01", id="no auth"),
        pytest.param("n,a=u@a.example,\x01auth=\x01\x01", id="empty auth"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer \x01\x01", id="no token"),
        pytest.param("n,a=u@a.example,\x01auth=Basic dTpw\x01\x01", id="another scheme"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer a b\x01\x01", id="two words"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x01auth=Bearer t\x01\x01", id="two tokens"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x01", id="no end"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x01\x01garbage", id="garbage after"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x01\x01\x01", id="one more separator"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x01nokey\x01\x01", id="no pair"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x011=2\x01\x01", id="a key of digits"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer t\x00\x01\x01", id="NUL"),
        pytest.param("n,a=u@a.example,\x01auth=Bearer tü\x01\x01", id="not ASCII"),
        pytest.param("n,,\x01auth=Bearer t\x01\x01", id="nobody to act for"),
        pytest.param("n,a=,\x01auth=Bearer t\x01\x01", id="an empty name"),
        pytest.param("n,a=u=2D,\x01auth=Bearer t\x01\x01", id="an escape that is none"),
        pytest.param("n,a=\u00ad,\x01auth=Bearer t\x01\x01", id="empty once it is prepared"),
        pytest.param(f"n,a={'u' * 256},\x01auth=Bearer t\x01\x01", id="a name over 255 octets"),
        pytest.param("p=tls-unique,a=u@a.example,\x01auth=Bearer t\x01\x01", id="channel binding"),
        pytest.param("a=u@a.example,\x01auth=Bearer t\x01\x01", id="no flag"),
    ],
)
def test_a_message_that_proves_nothing_is_verified_as_nothing(message: str) -> None:
    assert oauthbearer(message) is None


@pytest.mark.parametrize(
    ("pairs", "fits"),
    [
        ("host=pop.example.com\x01port=995\x01", True),
        ("host=POP.Example.com.\x01", True),
        ("port=110\x01", True),
        ("", True),
        ("host=other.example\x01", False),
        ("host=\x01", False),
        ("port=143\x01", False),
        ("port=0995\x01", False),
        ("port=x\x01", False),
    ],
)
def test_d55_r88_host_and_port_must_be_those_that_are_known(pairs: str, fits: bool) -> None:
    message = f"n,a=u@a.example,\x01{pairs}auth=Bearer t\x01\x01"
    assert (oauthbearer(message, KNOWN) is not None) is fits
    assert oauthbearer(message) is not None


def test_xoauth2_gives_name_and_token() -> None:
    assert xoauth2(f"user=u@a.example\x01auth=Bearer {TOKEN}\x01\x01") == BearerProof("u@a.example", TOKEN)


@pytest.mark.parametrize(
    "message",
    [
        *("", "user=u@a.example", "user=\x01auth=Bearer t\x01\x01", "auth=Bearer t\x01\x01"),
        *("user=u@a.example\x01auth=Bearer t\x01", "user=u@a.example\x01auth=Bearer t\x01\x01x"),
        *(f"user={'u' * 256}\x01auth=Bearer t\x01\x01", "user=u@a.example\x01auth=Basic t\x01\x01"),
    ],
)
def test_an_xoauth2_message_that_proves_nothing_is_verified_as_nothing(message: str) -> None:
    assert xoauth2(message) is None


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("message", [b"", b"\xff", b"n,a=u@a.example,\x01auth=Bearer t\x01\x01"])
def test_r89_the_word_on_a_refusal_is_the_same_whatever_was_wrong(mechanism: str, message: bytes) -> None:
    word = answered(mechanism, message).if_refused
    assert word is not None
    assert word == answered(mechanism, b"something else").if_refused
    assert json.loads(word)["status"] == {"OAUTHBEARER": "invalid_token", "XOAUTH2": "401"}[mechanism]


def test_r89_scope_and_configuration_are_told_where_they_are_configured() -> None:
    """RFC 7628 §3.2.2."""
    outside = Outside(scope="mail", configuration="https://id.example/.well-known/openid-configuration")
    word = answered("OAUTHBEARER", b"", outside).if_refused
    assert word is not None
    assert json.loads(word) == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": "https://id.example/.well-known/openid-configuration",
    }
    assert json.loads(answered("XOAUTH2", b"", outside).if_refused or b"")["scope"] == "mail"


def test_a_token_shows_in_no_form_of_a_proof() -> None:
    """G17."""
    assert "hunter2" not in repr(oauthbearer("n,a=u@a.example,\x01auth=Bearer hunter2\x01\x01"))


@given(st.binary(max_size=200))
def test_any_octets_are_a_proof_or_none(message: bytes) -> None:
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        assert isinstance(answered(mechanism, message).proof, BearerProof | None)
