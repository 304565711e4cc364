"""Login names: whoever has mail under an address gets in by it, whatever its script. R68, R78.

RFC 4616 §2, RFC 5802 §5.1, RFC 6532 §3.1.
"""

import pytest

from service.model.address import parse_address
from service.protocol.sasl.exchange import Fetch, Outside, Verify
from service.protocol.sasl.login_name import login_name
from service.protocol.sasl.mechanisms import MECHANISMS

ADDRESSES = {
    "Arabic": "علي@orchard.example",
    "Hebrew": "דוד@orchard.example",
    "Persian": "می\u200cخواهم@orchard.example",
    "Thai": "ทำ@orchard.example",
    "Korean": "\u3131\u3134@orchard.example",
    "full-width": "ａｎｎａ@orchard.example",
    "ligature": "ﬁona@orchard.example",
    "decomposed": "ju\u0308rgen@orchard.example",
}
SHOWN = pytest.mark.parametrize("name", ADDRESSES.values(), ids=ADDRESSES)
MESSAGES = {
    "PLAIN": "{0}\0{0}\0p",
    "SCRAM-SHA-256": "n,,n={0},r=abc",
    "OAUTHBEARER": "n,a={0},\x01auth=Bearer t\x01\x01",
    "XOAUTH2": "user={0}\x01auth=Bearer t\x01\x01",
    "EXTERNAL": "{0}",
}


@SHOWN
def test_r68_an_address_logs_in_as_the_one_that_mail_is_for(name: str) -> None:
    assert parse_address(login_name(name)) == parse_address(name)
    assert login_name(f"recent:{name}") == f"recent:{name}"


@SHOWN
@pytest.mark.parametrize("mechanism", MESSAGES)
def test_r78_every_mechanism_hands_on_the_name_that_was_sent(mechanism: str, name: str) -> None:
    exchange = MECHANISMS[mechanism].begin(Outside(certified=(name,)))
    move = exchange.respond(MESSAGES[mechanism].format(name).encode())
    assert isinstance(move, Fetch | Verify)
    told = move.name if isinstance(move, Fetch) else move.proof and move.proof.name
    assert told == name


@SHOWN
def test_an_authorization_identity_is_kept_as_it_is_too(name: str) -> None:
    move = MECHANISMS["PLAIN"].begin(Outside()).respond(f"{name}\0{name}\0p".encode())
    assert isinstance(move, Verify)
    assert move.proof is not None
    assert move.proof.authzid == name


def test_a_name_that_is_full_width_to_its_at_sign_is_taken_as_ascii() -> None:
    assert login_name("ａｎｎａ＠ｏｒｃｈａｒｄ．ｅｘａｍｐｌｅ") == "anna@orchard.example"


@pytest.mark.parametrize("name", ["", "\u00ad", "a\0@b.example", "a\u202eb@c.example", "\ue000@b.example", "ä" * 128])
def test_a_name_that_is_empty_prohibited_or_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"empty|prohibited|too long"):
        login_name(name)
