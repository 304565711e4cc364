"""SCRAM-SHA-256-PLUS as a pure exchange, with an independent client: what binds, and what a man in the middle gets.

R85. RFC 5802 §6 and §7; RFC 7677 §4; RFC 5929 §3 and §4.
"""

from types import MappingProxyType

import pytest
from scramp import ScramClient as Scramp

from service.model.proof import ScramProof
from service.model.scram import derive_scram
from service.protocol.sasl.exchange import NOTHING_KNOWN, Challenge, Fetch, Move, Outside, Verify
from service.protocol.sasl.mechanisms import MECHANISMS
from tests.protocol.sasl.scram_client import ScramClient

PLUS, PLAIN = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
KEYS = derive_scram("pencil", b"sixteen octets..", 4096)
END_POINT, UNIQUE = b"the hash of a certificate", b"the first finished message"
BOUND = Outside(bindings=MappingProxyType({"tls-server-end-point": END_POINT, "tls-unique": UNIQUE}))


def asked(mechanism: str, first: bytes, outside: Outside = BOUND) -> Move:
    return MECHANISMS[mechanism].begin(outside).respond(first)


def proof_of(move: Move) -> ScramProof | None:
    assert isinstance(move, Verify)
    assert isinstance(move.proof, ScramProof | None)
    return move.proof


def exchanged(client: Scramp, outside: Outside = BOUND) -> Move:
    """The server's move after the client's final message."""
    exchange = MECHANISMS[PLUS].begin(outside)
    fetch = exchange.respond(client.get_client_first().encode())
    assert isinstance(fetch, Fetch)
    challenge = fetch.resume(KEYS, "nonce")
    assert isinstance(challenge, Challenge)
    client.set_server_first(challenge.data.decode())
    return exchange.respond(client.get_client_final().encode())


@pytest.mark.parametrize("binding", [("tls-server-end-point", END_POINT), ("tls-unique", UNIQUE)])
def test_a_client_on_the_same_connection_gets_in(binding: tuple[str, bytes]) -> None:
    client = Scramp([PLUS], "user", "pencil", channel_binding=binding)
    move = exchanged(client)
    assert isinstance(move, Challenge)
    client.set_server_final(move.data.decode())


@pytest.mark.parametrize("binding", [("tls-server-end-point", UNIQUE), ("tls-unique", b"another connection's")])
def test_a_client_on_another_connection_is_refused(binding: tuple[str, bytes]) -> None:
    proof = proof_of(exchanged(Scramp([PLUS], "user", "pencil", channel_binding=binding)))
    assert proof is not None
    assert not proof.valid


def test_a_wrong_password_is_refused_on_the_right_connection() -> None:
    client = Scramp([PLUS], "user", "pen", channel_binding=("tls-unique", UNIQUE))
    proof = proof_of(exchanged(client))
    assert proof is not None
    assert not proof.valid


@pytest.mark.parametrize(
    "first",
    [
        *(b"n,,n=user,r=abc", b"y,,n=user,r=abc", b"p=tls-exporter,,n=user,r=abc", b"p=,,n=user,r=abc"),
        *(b"p=TLS-UNIQUE,,n=user,r=abc", b"p=tls unique,,n=user,r=abc", b"p,,n=user,r=abc"),
    ],
)
def test_without_a_binding_that_is_known_the_name_with_plus_proves_nothing(first: bytes) -> None:
    assert proof_of(asked(PLUS, first)) is None


def test_a_binding_of_a_kind_that_this_connection_lacks_proves_nothing() -> None:
    outside = Outside(bindings={"tls-server-end-point": END_POINT})
    assert proof_of(asked(PLUS, b"p=tls-unique,,n=user,r=abc", outside)) is None


def test_r85_y_fails_where_binding_is_offered_and_n_and_p_are_as_before() -> None:
    """RFC 5802 §6: somebody took -PLUS out of the list that the client saw."""
    assert proof_of(asked(PLAIN, b"y,,n=user,r=abc")) is None
    assert isinstance(asked(PLAIN, b"y,,n=user,r=abc", NOTHING_KNOWN), Fetch)
    assert isinstance(asked(PLAIN, b"n,,n=user,r=abc"), Fetch)
    assert proof_of(asked(PLAIN, b"p=tls-unique,,n=user,r=abc")) is None


@pytest.mark.parametrize("binding", ["", "p=tls-unique,,", "n,,", "p=tls-server-end-point,,the hash of a certificate"])
def test_the_binding_must_be_said_whole(binding: str) -> None:
    exchange, client = MECHANISMS[PLUS].begin(BOUND), ScramClient(header="p=tls-unique,,")
    fetch = exchange.respond(client.first)
    assert isinstance(fetch, Fetch)
    challenge = fetch.resume(KEYS, "nonce")
    assert isinstance(challenge, Challenge)
    proof = proof_of(exchange.respond(client.final(challenge.data, binding=binding)))
    assert proof is None or not proof.valid
