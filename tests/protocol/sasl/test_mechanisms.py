"""PLAIN and LOGIN as pure exchanges, and the set that AUTH offers. RFC 4616 §2, RFC 5034 §4, RFC 4422 §3."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.admin.policies import Way
from service.model.policy_table import WAYS
from service.model.proof import Password
from service.protocol.sasl.exchange import NOTHING_KNOWN, Challenge, Fetch, Verify, decode, encode
from service.protocol.sasl.mechanisms import MECHANISMS


def plain(response: bytes) -> object:
    return MECHANISMS["PLAIN"].begin(NOTHING_KNOWN).respond(response)


def test_plain_gives_name_password_and_authzid() -> None:
    assert plain(b"\0tim\0tanstaaftanstaaf") == Verify(Password("tim", "tanstaaftanstaaf"))
    assert plain(b"Ursel\0Kurt\0xipj3plmq") == Verify(Password("Kurt", "xipj3plmq", "Ursel"))


def test_plain_accepts_255_octets_of_each() -> None:
    part = b"a" * 255
    assert plain(b"\0".join([part, part, part])) == Verify(Password("a" * 255, "a" * 255, "a" * 255))


@pytest.mark.parametrize(
    "response",
    [b"", b"a", b"a\0b", b"\0\0p", b"\0n\0p\0", b"\0\xff\0p", b"\0" + b"n" * 256 + b"\0p", b"a" * 256 + b"\0n\0p",
     b"\xff\0n\0p", b"\0\xff\0\xff", "\0\u00ad\0p".encode(), "\0n\u0007\0p".encode()],
)  # fmt: skip
def test_plain_that_can_t_prove_anything_is_verified_as_nothing(response: bytes) -> None:
    assert plain(response) == Verify(None)


@pytest.mark.parametrize(
    "secret",
    [b"", b"gr\xfc\xdfe", b"p" * 256, "\u00ad".encode(), b"\x07", "a\u0627".encode(), "\ufffd".encode(),
     b"\xed\xb2\x80"],
)  # fmt: skip
def test_a_password_that_can_t_be_prepared_is_known_again_and_isn_t_usable(secret: bytes) -> None:
    """RFC 4616 §2: "if preparation fails or results in an empty string, verification SHALL fail"."""
    login = MECHANISMS["LOGIN"].begin(NOTHING_KNOWN)
    login.respond(b"n")
    text = secret.decode("utf-8", "surrogateescape")
    assert plain(b"\0n\0" + secret) == login.respond(secret) == Verify(Password("n", text, usable=False))
    assert plain(b"\0n\0" + secret) != plain(b"\0n\0" + secret + b"\xfc")


def test_plain_prepares_the_password_and_a_name_that_is_no_address() -> None:
    assert plain("\0ｕｓｅｒ\0p\u00a0w".encode()) == Verify(Password("user", "p w"))
    assert plain("\0ｕ@a.example\0p\u00a0w".encode()) == Verify(Password("ｕ@a.example", "p w"))


def test_login_asks_for_the_password_after_the_name() -> None:
    exchange = MECHANISMS["LOGIN"].begin(NOTHING_KNOWN)
    assert MECHANISMS["LOGIN"].first_challenge == b"Username:"
    assert exchange.respond(b"me") == Challenge(b"Password:")
    assert exchange.respond(b" pass word ") == Verify(Password("me", " pass word "))


@pytest.mark.parametrize(("name", "secret"), [(b"", b"p"), (b"n" * 256, b"p"), (b"n\0", b"p"), (b"\xff", b"p")])
def test_login_that_can_t_prove_anything_is_verified_as_nothing(name: bytes, secret: bytes) -> None:
    exchange = MECHANISMS["LOGIN"].begin(NOTHING_KNOWN)
    exchange.respond(name)
    assert exchange.respond(secret) == Verify(None)


def test_a_proof_never_shows_its_secret() -> None:
    assert "hunter2" not in repr(plain(b"\0n\0hunter2"))


def test_the_stronger_mechanism_is_listed_first() -> None:
    assert list(MECHANISMS) == sorted(MECHANISMS, key=lambda name: MECHANISMS[name].rank)
    assert {"PLAIN", "LOGIN"} <= set(MECHANISMS)


def test_a_policy_may_name_every_mechanism() -> None:
    assert set(WAYS) == {"USER", *MECHANISMS} == set(get_args(Way))


@given(st.binary(max_size=100))
def test_base64_round_trips(data: bytes) -> None:
    assert decode(encode(data)) == data
    assert b"\n" not in encode(data)


@given(st.binary(max_size=40))
def test_any_octets_decode_or_are_refused_plainly(text: bytes) -> None:
    try:
        decode(text)
    except ValueError:
        return
    assert set(text) <= set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


@given(st.binary(max_size=800))
def test_no_response_breaks_an_exchange(response: bytes) -> None:
    for mechanism in MECHANISMS.values():
        exchange = mechanism.begin(NOTHING_KNOWN)
        for _ in range(3):
            assert isinstance(exchange.respond(response), Challenge | Fetch | Verify)
