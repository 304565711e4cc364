"""SCRAM-SHA-256 as a pure exchange: the example of its RFC, an independent client, and all that a client can get wrong.

R77 to R85, D35 to D46. RFC 7677 §3; RFC 5802 §3, §4, §5, §5.1, §6 and §7; RFC 5034 §4.
"""

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient as Scramp

from service.model.proof import ScramProof
from service.model.scram import ScramKeys, derive_scram
from service.protocol.sasl.exchange import NOTHING_KNOWN, Challenge, Exchange, Fetch, Move, Verify
from service.protocol.sasl.mechanisms import MECHANISMS
from tests.protocol.sasl.scram_client import ScramClient

SALT, SERVER_NONCE = b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
KEYS = derive_scram("pencil", SALT, 4096)


def begun(first: bytes, keys: ScramKeys = KEYS, nonce: str = SERVER_NONCE) -> tuple[Exchange, bytes]:
    """An exchange after the client's first message, and the server's first."""
    exchange = MECHANISMS["SCRAM-SHA-256"].begin(NOTHING_KNOWN)
    fetch = exchange.respond(first)
    assert isinstance(fetch, Fetch)
    challenge = fetch.resume(keys, nonce)
    assert isinstance(challenge, Challenge)
    return exchange, challenge.data


def outcome(move: Move) -> ScramProof | None:
    """The proof that an exchange ended in."""
    assert isinstance(move, Verify)
    assert isinstance(move.proof, ScramProof | None)
    return move.proof


def after_final(client: ScramClient, **differently: str) -> Move:
    """What the server makes of the client's final message."""
    exchange, server_first = begun(client.first)
    return exchange.respond(client.final(server_first, **differently))


def test_the_example_of_rfc_7677_is_reproduced() -> None:
    exchange, server_first = begun(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    combined = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    assert server_first == b"r=" + combined + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = b"c=biws,r=" + combined + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert exchange.respond(final) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert outcome(exchange.respond(b"")) == ScramProof("user", KEYS, valid=True, nonce=combined.decode())


def test_r70_the_last_message_of_success_is_a_challenge_and_is_answered_with_nothing() -> None:
    client = ScramClient()
    exchange, server_first = begun(client.first)
    server_final = exchange.respond(client.final(server_first))
    assert isinstance(server_final, Challenge)
    assert client.trusts(server_final.data)
    assert outcome(exchange.respond(b"more")) is None


printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


@settings(deadline=None, max_examples=40)
@given(name=printable, password=printable, heard=printable)
def test_an_independent_client_is_understood_and_understands(name: str, password: str, heard: str) -> None:
    keys = derive_scram(heard, b"a salt of sixteen", 4096)
    client = Scramp(["SCRAM-SHA-256"], name, password)
    exchange, server_first = begun(client.get_client_first().encode(), keys)
    client.set_server_first(server_first.decode())
    move = exchange.respond(client.get_client_final().encode())
    if password == heard:
        assert isinstance(move, Challenge)
        client.set_server_final(move.data.decode())
        move = exchange.respond(b"")
    proof = outcome(move)
    assert proof is not None
    assert (proof.name, proof.valid) == (name, password == heard)


def test_r84_a_wrong_password_ends_the_exchange_without_a_word_of_the_server() -> None:
    proof = outcome(after_final(ScramClient(password="pencils")))
    assert proof is not None
    assert not proof.valid


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x,,n=u,r=abc", id="D35"),
        pytest.param(b"n=u,r=abc", id="D35 R77 without a header"),
        pytest.param(b"N,,n=u,r=abc", id="D35 a capital"),
        pytest.param(b"n,,n=u", id="D37"),
        pytest.param(b"n,,r=abc", id="D37 no name"),
        pytest.param(b"n,,n=u,r=", id="D37 an empty nonce"),
        pytest.param(b"n,,r=abc,n=u", id="D37 in another order"),
        pytest.param(b"n,,n=u,r=a\tc", id="D37 a tab in the nonce"),
        pytest.param("n,,n=u,r=ä".encode(), id="D37 a nonce beyond ASCII"),
        pytest.param(b"n,,n=u=2Dx,r=abc", id="D38 R79"),
        pytest.param(b"n,,n=u=,r=abc", id="D38 at the end"),
        pytest.param(b"n,,n=u=2cx,r=abc", id="D38 in small letters"),
        pytest.param(b"n,,n=,r=abc", id="D38 R78 an empty name"),
        pytest.param(b"p=tls-unique,,n=u,r=abc", id="D40 R85"),
        pytest.param(b"p=tls-exporter,,n=u,r=abc", id="D40 of TLS 1.3"),
        pytest.param(b"n,other,n=u,r=abc", id="D41 no a="),
        pytest.param(b"n,a=,n=u,r=abc", id="D41 an empty one"),
        pytest.param(b"n,a=x=2Dy,n=u,r=abc", id="D41 ill escaped"),
        pytest.param(b"n,,m=x,n=u,r=abc", id="R80"),
        pytest.param(b"n,,n=u,r=abc,m=x", id="R80 at the end"),
        pytest.param(b"n,,n=u,r=abc,xy=z", id="R80 no attribute"),
        pytest.param(b"n,,n=u,r=abc,", id="R80 a comma at the end"),
        pytest.param(b"n,,n=\xff,r=abc", id="R78 no UTF-8"),
        pytest.param(b"n,,n=a\0b,r=abc", id="R78 NUL"),
        pytest.param(b"n,,n=u\r\nQUIT,r=abc", id="R78 CRLF"),
        pytest.param("n,,n=\u00ad,r=abc".encode(), id="R78 empty once prepared"),
        pytest.param("n,a=\ue000,n=u,r=abc".encode(), id="R78 an authzid that is prohibited"),
        pytest.param(b"n,,n=" + b"u" * 256 + b",r=abc", id="R78 over 255 octets"),
    ],
)
def test_a_first_message_out_of_grammar_proves_nothing(first: bytes) -> None:
    assert outcome(MECHANISMS["SCRAM-SHA-256"].begin(NOTHING_KNOWN).respond(first)) is None


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"n,,n=a=2Cb=3Dc,r=abc", "a,b=c"),
        (b"n,,n==3D2C,r=abc", "=2C"),
        ("n,,n=ｕｓｅｒ,r=abc".encode(), "user"),
        (b"n,,n=" + b"u" * 255 + b",r=abc", "u" * 255),
    ],
)
def test_r78_r79_a_name_is_unescaped_and_prepared(first: bytes, name: str) -> None:
    move = MECHANISMS["SCRAM-SHA-256"].begin(NOTHING_KNOWN).respond(first)
    assert isinstance(move, Fetch)
    assert move.name == name


@pytest.mark.parametrize("header", ["n,,", "y,,", "n,a=user,", "y,a=a=2Cb,"])
def test_r85_a_client_without_channel_binding_gets_in(header: str) -> None:
    assert isinstance(after_final(ScramClient(header=header)), Challenge)


def test_d41_the_authzid_is_handed_on_for_the_login_to_judge() -> None:
    client = ScramClient(header="n,a=oth=3Der,")
    exchange, server_first = begun(client.first)
    exchange.respond(client.final(server_first))
    proof = outcome(exchange.respond(b""))
    assert proof is not None
    assert proof.authzid == "oth=er"


def test_r80_an_unknown_optional_extension_is_ignored() -> None:
    assert isinstance(after_final(ScramClient(extensions=",x=y,Z=1=2")), Challenge)


@pytest.mark.parametrize("binding", ["y,,", "n,a=user,", "", "n,,x", "p=tls-unique,,"])
def test_d43_r82_another_channel_binding_than_the_first_message_said_fails(binding: str) -> None:
    proof = outcome(after_final(ScramClient(), binding=binding))
    assert proof is None or not proof.valid


@pytest.mark.parametrize(
    "nonce", ["rOprNGfwEbeRWgbNEkqO", SERVER_NONCE, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k", "x"]
)
def test_r81_another_nonce_than_the_server_s_fails(nonce: str) -> None:
    proof = outcome(after_final(ScramClient(), nonce=nonce))
    assert proof is not None
    assert not proof.valid


def test_r81_the_nonce_that_the_proof_is_over_goes_on_with_it() -> None:
    first, second = (outcome(after_final(ScramClient(password="no", nonce=nonce))) for nonce in ("one", "two"))
    assert first != second


def test_d46_a_final_message_of_another_exchange_fails() -> None:
    client = ScramClient()
    _, server_first = begun(client.first)
    recorded = client.final(server_first)
    exchange, _ = begun(client.first, nonce="another")
    proof = outcome(exchange.respond(recorded))
    assert proof is not None
    assert not proof.valid


def test_d46_the_first_message_sent_again_is_no_final_one() -> None:
    exchange, _ = begun(ScramClient().first)
    assert outcome(exchange.respond(ScramClient().first)) is None


def tampered(old: bytes, new: bytes) -> ScramProof | None:
    """The outcome of a right final message in which one thing was replaced."""
    exchange, server_first = begun(ScramClient().first)
    final = ScramClient().final(server_first)
    assert old in final
    return outcome(exchange.respond(final.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"c=biws,", b"", id="D44"),
        pytest.param(b"c=biws,", b"c=,", id="D44 empty"),
        pytest.param(b"c=biws,", b"m=x,c=biws,", id="R80"),
        pytest.param(b",p=", b",m=x,p=", id="R80 before the proof"),
        pytest.param(b",p=", b",q=", id="no proof"),
        pytest.param(b"c=biws,", b"c=bi\xffws,", id="no UTF-8"),
    ],
)
def test_a_final_message_out_of_grammar_proves_nothing(old: bytes, new: bytes) -> None:
    assert tampered(old, new) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"c=biws", b"c=eSws", id="D43 y for n"),
        pytest.param(b"c=biws", b"c=biw", id="D43 no base64"),
        pytest.param(b"=biws", b"=biws,x=y", id="an extension that the proof isn't over"),
        pytest.param(b",p=", b",p=AAAA", id="too long a proof"),
    ],
)
def test_a_final_message_that_was_changed_on_its_way_fails(old: bytes, new: bytes) -> None:
    proof = tampered(old, new)
    assert proof is None or not proof.valid


@pytest.mark.parametrize(
    "proof", [b"AA==", b64encode(bytes(32)), b64encode(KEYS.stored_key), b64encode(KEYS.server_key)]
)
def test_what_the_server_keeps_is_no_proof(proof: bytes) -> None:
    exchange, server_first = begun(ScramClient().first)
    final, _, _ = ScramClient().final(server_first).rpartition(b",p=")
    judged = outcome(exchange.respond(final + b",p=" + proof))
    assert judged is not None
    assert not judged.valid


def test_r83_the_iterations_are_those_of_the_keys_and_at_least_4096() -> None:
    _, server_first = begun(ScramClient().first, derive_scram("pencil", SALT))
    assert int(server_first.rpartition(b"i=")[2]) >= 4096


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_no_sequence_of_responses_breaks_an_exchange_or_logs_in(responses: list[bytes]) -> None:
    exchange, _ = begun(ScramClient().first, replace(KEYS, stored_key=bytes(32)))
    for response in responses:
        proof = outcome(exchange.respond(response))
        assert proof is None or not proof.valid


def test_a_proof_shows_no_key() -> None:
    proof = outcome(after_final(ScramClient(password="no")))
    for key in (KEYS.stored_key, KEYS.server_key):
        assert key.hex() not in repr(proof)
        assert str(key)[2:-1] not in repr(proof)
