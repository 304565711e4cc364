"""AUTH OAUTHBEARER, XOAUTH2 and EXTERNAL line by line: the login, the refusal that is told first, and what ends it.

D49 to D55, R86, R90, R106. RFC 7628 §3.2.2 and §3.2.3; RFC 5034 §3 and §4; RFC 4422 appendix A.
"""

import json
from base64 import b64decode, b64encode

import pytest

from service.model.ending import Ending
from service.model.proof import BearerProof, CertificateProof
from service.model.refusal import Reason
from service.protocol.pop3.effects import LogIn
from tests.protocol.pop3.world import ALL, CLEAR, NAME, TLS, TOKEN, World

FAILED = b"-ERR [AUTH] Authentication failed\r\n"
WAYS = ["OAUTHBEARER", "XOAUTH2"]


def message(way: str, token: str = TOKEN, name: str = NAME, host: str = "pop.example.org") -> bytes:
    header = f"user={name}" if way == "XOAUTH2" else f"n,a={name},\x01host={host}\x01port=995"
    return f"{header}\x01auth=Bearer {token}\x01\x01".encode()


def line(text: bytes) -> bytes:
    return b64encode(text) + b"\r\n"


def inline(world: World, way: str, **differently: str) -> bytes:
    return world.send(f"AUTH {way} ".encode() + line(message(way, **differently)))


def told(answer: bytes) -> dict[str, str]:
    """What a challenge says, which is `+`, a space and base64 of JSON, and nothing else."""
    assert answer.startswith(b"+ ")
    assert answer.endswith(b"\r\n")
    assert answer.count(b"\r\n") == 1
    return dict(json.loads(b64decode(answer[2:-2], validate=True)))


@pytest.mark.parametrize("way", WAYS)
def test_a_good_token_logs_in_inline_and_in_two_steps(way: str) -> None:
    assert inline(World(ALL), way).startswith(b"+OK Maildrop locked and ready")
    world = World(ALL)
    assert world.send(f"auth {way.lower()}\r\n".encode()) == b"+ \r\n"
    assert world.send(line(message(way))).startswith(b"+OK")
    assert world.performed == [LogIn(way, BearerProof(NAME, TOKEN))]
    assert world.send(b"STAT\r\n").startswith(b"+OK 3 ")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("octets", [1025, 4000, 8000])
def test_x05_a_token_over_1_kib_is_read_whole(way: str, octets: int) -> None:
    world = World(ALL)
    told(inline(world, way, token="t" * octets))
    assert world.performed == [LogIn(way, BearerProof(NAME, "t" * octets))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "dummy",
    [
        pytest.param(b"AQ==\r\n", id="the dummy"),
        pytest.param(b"*\r\n", id="a cancellation"),
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(b"QUIT\r\n", id="anything"),
        pytest.param(b"!!!\r\n", id="no base64"),
    ],
)
def test_r90_c20_a_refusal_is_told_in_a_challenge_and_err_waits_for_the_client(way: str, dummy: bytes) -> None:
    world = World(ALL)
    assert told(inline(world, way, token="wrong"))["status"] in ("invalid_token", "401")
    assert world.send(dummy) == FAILED
    assert world.send(b"NOOP\r\n") == b"-ERR Command not valid in this state\r\n"
    assert inline(world, way).startswith(b"+OK")


@pytest.mark.parametrize(
    "differently",
    [
        pytest.param({"token": "expired"}, id="D49"),
        pytest.param({"token": "eyJhbGciOiJub25lIn0.e30."}, id="D50"),
        pytest.param({"token": "wrong.aud"}, id="D52"),
        pytest.param({"token": "wrong.iss"}, id="D53"),
        pytest.param({"host": "other.example"}, id="D55"),
        pytest.param({"name": "nobody@example.org"}, id="unknown name"),
    ],
)
def test_every_refused_message_is_answered_alike(differently: dict[str, str]) -> None:
    world = World(ALL)
    assert inline(world, "OAUTHBEARER", **differently) == inline(World(ALL), "OAUTHBEARER", token="x")
    assert world.send(b"AQ==\r\n") == FAILED


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_counts_once_it_is_said_and_too_many_close(way: str) -> None:
    world = World(ALL._replace(login_failures=2))
    for number in range(2):
        assert world.closed is None
        told(inline(world, way, token=f"wrong{number}"))
        assert world.send(b"AQ==\r\n") == FAILED
    assert world.closed is Ending.LOGIN_FAILURES


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", [Reason.UNAVAILABLE, Reason.OVERLOADED, Reason.IN_USE])
def test_g14_what_is_no_refusal_of_the_token_is_answered_at_once(way: str, reason: Reason) -> None:
    world = World(ALL, refuse={LogIn: reason})
    answer = inline(world, way)
    assert answer.startswith(b"-ERR [")
    assert b"[AUTH]" not in answer
    world.refuse.clear()
    assert inline(world, way).startswith(b"+OK")


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_waits_for_nothing_has_its_next_line_taken_for_the_dummy(way: str) -> None:
    world = World(ALL)
    sent = f"AUTH {way} ".encode() + line(message(way, token="wrong")) + b"CAPA\r\nNOOP\r\n"
    answers = world.send(sent).split(b"\r\n")
    assert [answer[:4] for answer in answers] == [b"+ ey", b"-ERR", b"-ERR", b""]


@pytest.mark.parametrize("way", WAYS)
def test_an_overlong_dummy_closes(way: str) -> None:
    world = World(ALL)
    inline(world, way, token="wrong")
    assert world.send(b"A" * 20000 + b"\r\n") == b"-ERR Line too long\r\n"
    assert world.closed is Ending.LINE_TOO_LONG


def test_r106_a_certificate_logs_in_by_auth_external_and_not_by_itself() -> None:
    """RFC 8314 §4.2."""
    world = World(ALL)
    assert world.send(b"STAT\r\n") == b"-ERR Command not valid in this state\r\n"
    assert world.send(b"AUTH EXTERNAL =\r\n").startswith(b"+OK")
    assert world.performed == [LogIn("EXTERNAL", CertificateProof(NAME, (NAME,)))]
    in_two_steps = World(ALL)
    assert in_two_steps.send(b"AUTH EXTERNAL\r\n") == b"+ \r\n"
    assert in_two_steps.send(line(NAME.encode())).startswith(b"+OK")


def test_another_name_than_the_certificate_s_is_refused_as_a_wrong_password_is() -> None:
    assert World(ALL).send(b"AUTH EXTERNAL " + line(b"other@example.org")) == FAILED


@pytest.mark.parametrize("way", [*WAYS, "EXTERNAL", "SCRAM-SHA-256-PLUS"])
def test_it_is_listed_only_where_it_can_succeed(way: str) -> None:
    """R86: TLS only; RFC 5034 §3."""
    listed = f" {way}".encode()
    assert listed in World(ALL).send(b"CAPA\r\n")
    assert listed in World(ALL).log_in().send(b"CAPA\r\n")
    assert listed not in World(TLS).send(b"CAPA\r\n")
    assert World(TLS).send(f"AUTH {way}\r\n".encode()) == b"-ERR Unsupported mechanism\r\n"
    clear = CLEAR._replace(mechanisms=ALL.mechanisms, outside=ALL.outside)
    assert listed not in World(clear).send(b"CAPA\r\n")
    assert World(clear).send(f"AUTH {way}\r\n".encode()) == b"-ERR TLS required\r\n"
