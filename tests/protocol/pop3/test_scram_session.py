"""AUTH SCRAM-SHA-256 line by line: D35 to D47 as a client sends them, the look-up, the last challenge, the failures.

RFC 5034 §4; RFC 5802 §5 and §5.1; RFC 2449 §5.
"""

from base64 import b64decode, b64encode

import pytest

from service.model.ending import Ending
from service.model.proof import ScramProof
from service.model.refusal import Reason
from service.protocol.pop3.effects import FetchKeys, LogIn
from tests.protocol.pop3.world import CLEAR, KEYS, NAME, SCRAM, SECRET, TLS, World
from tests.protocol.sasl.scram_client import ScramClient

FAILED = b"-ERR [AUTH] Authentication failed\r\n"


def client(**differently: str) -> ScramClient:
    return ScramClient(**{"name": NAME, "password": SECRET, "nonce": "abc", **differently})


def line(text: bytes) -> bytes:
    return b64encode(text) + b"\r\n"


def challenge(answer: bytes) -> bytes:
    """What a challenge holds, which is `+`, a space and base64, and nothing else."""
    assert answer.startswith(b"+ ")
    assert answer.endswith(b"\r\n")
    return b64decode(answer[2:-2], validate=True)


def first(world: World, said: bytes) -> bytes:
    return world.send(b"AUTH SCRAM-SHA-256 " + line(said))


def log_in(world: World, mail_client: ScramClient, **differently: str) -> bytes:
    """The answer to the final message."""
    server_first = challenge(first(world, mail_client.first))
    return world.send(line(mail_client.final(server_first, **differently)))


def test_r70_the_server_s_final_message_is_a_challenge_and_an_empty_line_ends_with_ok() -> None:
    world, mail_client = World(SCRAM), client()
    assert mail_client.trusts(challenge(log_in(world, mail_client)))
    assert world.send(b"\r\n").startswith(b"+OK Maildrop locked and ready, 3 messages")
    assert world.send(b"STAT\r\n").startswith(b"+OK 3 ")


def test_no_maildrop_is_opened_before_the_client_has_seen_the_server_s_proof() -> None:
    world = World(SCRAM)
    log_in(world, client())
    assert world.performed == [FetchKeys(NAME, "SCRAM-SHA-256")]
    world.send(b"\r\n")
    assert world.performed[1:] == [
        LogIn("SCRAM-SHA-256", ScramProof(NAME, KEYS, valid=True, nonce="abcnonce1")),
    ]


def test_without_an_initial_response_the_client_is_asked_with_an_empty_challenge() -> None:
    world, mail_client = World(SCRAM), client()
    assert world.send(b"auth scram-sha-256\r\n") == b"+ \r\n"
    server_first = challenge(world.send(line(mail_client.first)))
    assert mail_client.trusts(challenge(world.send(line(mail_client.final(server_first)))))
    assert world.send(b"\r\n").startswith(b"+OK")


def test_a_client_that_waits_for_nothing_gets_every_answer_in_turn() -> None:
    world, mail_client = World(SCRAM), client()
    server_first = challenge(first(World(SCRAM), mail_client.first))
    whole = b"AUTH SCRAM-SHA-256 " + line(mail_client.first) + line(mail_client.final(server_first))
    answers = world.send(whole + b"\r\nSTAT\r\n").split(b"\r\n")
    assert [answer[:3] for answer in answers] == [b"+ c", b"+ d", b"+OK", b"+OK", b""]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"x,,n=u,r=abc", id="D35"),
        pytest.param(b"n,,n=u", id="D37"),
        pytest.param(b"n,,n=u=2Dx,r=abc", id="D38"),
        pytest.param(b"p=tls-unique,,n=u,r=abc", id="D40"),
    ],
)
def test_a_bad_first_message_is_refused_as_a_wrong_password_is(said: bytes) -> None:
    world = World(SCRAM)
    assert first(world, said) == FAILED
    assert world.performed == [LogIn("SCRAM-SHA-256", None)]
    assert world.send(b"STAT\r\n") == b"-ERR Command not valid in this state\r\n"


def test_d41_nobody_logs_in_for_another() -> None:
    world = World(SCRAM)
    challenge(log_in(world, client(header="n,a=other,")))
    assert world.send(b"\r\n") == FAILED


def test_d43_another_channel_binding_is_refused_as_a_wrong_password_is() -> None:
    assert log_in(World(SCRAM), client(), binding="y,,") == FAILED


def test_d44_no_channel_binding_is_refused_as_a_wrong_password_is() -> None:
    world, mail_client = World(SCRAM), client()
    final = mail_client.final(challenge(first(world, mail_client.first)))
    assert world.send(line(final.replace(b"c=biws,", b""))) == FAILED


def test_d46_the_first_message_sent_again_is_refused_as_a_wrong_password_is() -> None:
    world = World(SCRAM)
    first(world, client().first)
    assert world.send(line(client().first)) == FAILED


def test_d46_a_final_message_that_was_heard_before_is_refused() -> None:
    mail_client, world = client(), World(SCRAM)
    heard = mail_client.final(challenge(first(world, mail_client.first)))
    world.send(b"*\r\n")
    first(world, mail_client.first)
    assert world.send(line(heard)) == FAILED


def test_d47_a_name_that_nobody_has_gets_a_challenge_and_then_the_same_refusal() -> None:
    unknown, wrong = World(SCRAM), World(SCRAM)
    for world, mail_client in ((unknown, client(name="nobody")), (wrong, client(password="x"))):
        assert log_in(world, mail_client) == FAILED
    assert [type(effect) for effect in unknown.performed] == [type(effect) for effect in wrong.performed]


def test_r67_after_a_failure_the_session_goes_on_as_if_auth_had_not_been_sent() -> None:
    world = World(SCRAM)
    assert log_in(world, client(password="wrong")) == FAILED
    mail_client = client()
    challenge(log_in(world, mail_client))
    assert world.send(b"\r\n").startswith(b"+OK")


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_exchange_can_be_cancelled_at_every_step(steps: int) -> None:
    world, mail_client = World(SCRAM), client()
    answer = world.send(b"AUTH SCRAM-SHA-256\r\n")
    for say in (lambda _: mail_client.first, mail_client.final)[: steps - 1]:
        answer = world.send(line(say(challenge(answer))))
    assert world.send(b"*\r\n") == b"-ERR Authentication cancelled\r\n"
    assert not [effect for effect in world.performed if isinstance(effect, LogIn)]
    assert world.send(b"NOOP\r\n") == b"-ERR Command not valid in this state\r\n"


def test_exchanges_given_up_after_the_look_up_are_bounded_like_wrong_passwords() -> None:
    world = World(SCRAM._replace(login_failures=3))
    for _ in range(3):
        assert world.closed is None
        first(world, client().first)
        assert world.send(b"*\r\n") == b"-ERR Authentication cancelled\r\n"
    assert world.closed is Ending.LOGIN_FAILURES


def test_wrong_proofs_count_each() -> None:
    world = World(SCRAM._replace(login_failures=3))
    for _ in range(3):
        assert log_in(world, client(password="wrong")) == FAILED
    assert world.closed is Ending.LOGIN_FAILURES


def test_a_look_up_that_can_t_be_made_is_refused_as_transient_and_not_counted() -> None:
    world = World(SCRAM._replace(login_failures=1), refuse={FetchKeys: Reason.UNAVAILABLE})
    for _ in range(3):
        assert first(world, client().first).startswith(b"-ERR [SYS/TEMP] ")
    world.refuse.clear()
    challenge(log_in(world, client()))
    assert world.send(b"\r\n").startswith(b"+OK")


@pytest.mark.parametrize("reason", [Reason.IN_USE, Reason.UNAVAILABLE])
def test_a_maildrop_that_can_t_be_had_is_refused_after_the_server_s_proof(reason: Reason) -> None:
    world = World(SCRAM, refuse={LogIn: reason})
    challenge(log_in(world, client()))
    answer = world.send(b"\r\n")
    assert answer.startswith(b"-ERR [")
    assert b"[AUTH]" not in answer


def test_a_line_that_isn_t_base64_ends_the_exchange() -> None:
    world = World(SCRAM)
    first(world, client().first)
    assert world.send(b"!\r\n") == b"-ERR Syntax error\r\n"
    assert world.send(b"CAPA\r\n").startswith(b"+OK")


def test_it_is_listed_first_where_it_is_offered_and_nowhere_else() -> None:
    assert b"\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n" in World(SCRAM).send(b"CAPA\r\n")
    assert b"\r\nSCRAM-SHA-256\r\n" in World(SCRAM).send(b"AUTH\r\n")
    assert b"\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n" in World(SCRAM).log_in().send(b"CAPA\r\n")
    assert b"SCRAM" not in World(TLS).send(b"CAPA\r\nAUTH\r\n")
    assert b"SCRAM" not in World(CLEAR._replace(mechanisms=SCRAM.mechanisms)).send(b"CAPA\r\nAUTH\r\n")


def test_where_it_isn_t_offered_it_isn_t_accepted() -> None:
    assert first(World(TLS), client().first) == b"-ERR Unsupported mechanism\r\n"
    clear = World(CLEAR._replace(mechanisms=SCRAM.mechanisms))
    assert first(clear, client().first) == b"-ERR TLS required\r\n"
