"""Which mechanisms a connection is offered: each only where it can succeed.
RFC 5034 §3, RFC 5802 §6, RFC 7628 §3.2, RFC 9266 §3.
"""

import pytest

from service.net.peer import Peer, TlsFacts
from service.net.pop3_offer import Offer
from service.protocol.sasl.exchange import Outside

BOTH, OLD = frozenset({"TLSv1.2", "TLSv1.3"}), frozenset({"TLSv1.2"})
BINDING = {"tls-server-end-point": b"x"}
HERE = Peer("192.0.2.1", 1, "own", TlsFacts("TLSv1.3", "c", "POP.example", BINDING), private=True)
WITHIN_TLS_1_2 = Peer("192.0.2.1", 1, "own", TlsFacts("TLSv1.2", "c", None, BINDING), private=True)
BEHIND = Peer("192.0.2.1", 1, "own", TlsFacts("TLSv1.3", "c", "pop.example"), private=True)
CLEAR = Peer("192.0.2.1", 1, "own")
SHOWN = Peer("192.0.2.1", 1, "own", TlsFacts("TLSv1.3", "c", None, {}, ("ada@acme.example",)), private=True)


def mechanisms(offer: Offer, peer: Peer) -> frozenset[str]:
    return offer.to(peer)[0]


def outside(offer: Offer, peer: Peer) -> Outside:
    return offer.to(peer)[1]


@pytest.mark.parametrize(
    ("offer", "peer", "more"),
    [
        (Offer(), HERE, set()),
        (Offer(scram=True), HERE, {"SCRAM-SHA-256"}),
        (Offer(scram=True, binding=BOTH), HERE, {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}),
        (Offer(scram=True, binding=BOTH), BEHIND, {"SCRAM-SHA-256"}),
        (Offer(scram=True, binding=BOTH), CLEAR, {"SCRAM-SHA-256"}),
        (Offer(binding=BOTH), HERE, set()),
        (Offer(scram=True, binding=OLD), HERE, {"SCRAM-SHA-256"}),
        (Offer(scram=True, binding=OLD), WITHIN_TLS_1_2, {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}),
        (Offer(tokens=lambda: True), BEHIND, {"OAUTHBEARER", "XOAUTH2"}),
        (Offer(), SHOWN, {"EXTERNAL"}),
    ],
)
def test_each_mechanism_is_offered_where_it_can_succeed(offer: Offer, peer: Peer, more: set[str]) -> None:
    assert mechanisms(offer, peer) == {"PLAIN", "LOGIN"} | more


def test_tokens_are_offered_as_soon_as_somebody_trusts_an_issuer() -> None:
    trusting: list[bool] = []
    offer = Offer(tokens=lambda: bool(trusting))
    assert "OAUTHBEARER" not in mechanisms(offer, HERE)
    trusting.append(True)
    assert "OAUTHBEARER" in mechanisms(offer, HERE)


def test_the_names_of_the_settings_come_before_the_one_that_tls_was_asked_for() -> None:
    assert outside(Offer(), HERE).hosts == {"pop.example"}
    assert outside(Offer(), CLEAR).hosts == frozenset()
    assert outside(Offer(hosts=frozenset({"mail.example"})), HERE).hosts == {"mail.example"}


def test_those_without_a_binding_share_what_they_are_told() -> None:
    offer = Offer(scram=True, binding=BOTH)
    assert outside(offer, BEHIND) is outside(offer, BEHIND)
    assert outside(offer, HERE).hosts == outside(offer, BEHIND).hosts
    assert outside(offer, BEHIND).bindings == {}


def test_a_mechanism_is_told_what_is_configured_and_what_the_connection_shows() -> None:
    offer = Offer(scram=True, binding=BOTH, ports=frozenset({995}), scope="mail", configuration="https://id.example")
    told = outside(offer, HERE)
    assert (told.ports, told.scope, told.configuration) == (frozenset({995}), "mail", "https://id.example")
    assert told.bindings == BINDING
    assert outside(Offer(scram=True), HERE).bindings == {}
    assert outside(offer, SHOWN).certified == ("ada@acme.example",)
