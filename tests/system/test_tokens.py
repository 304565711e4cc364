"""Logins by tokens against the real program: by mail programs, by those who forge, and while the issuer is away.

D49 to D55, C18, C20, R86 to R90, G10, G11, G13, G14, G17. RFC 7628 §3.1 to §3.2.3, RFC 5034 §3 and §4; RFC 8725 §3.1.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backends.demo import Place, RunningDemo
from tests.backends.forging import FORGERIES
from tests.backends.issuer import AUDIENCE, CLIENT, SECRET, Issuer, issuing, make_key
from tests.cli.conftest import await_true
from tests.protocol.pop3.test_token_session import FAILED, line, message
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop, trusting
from tests.system.clients.program import with_local_line_ends
from tests.system.clients.programs import Getmail
from tests.system.clients.token_programs import PROGRAMS
from tests.system.front_end import IMPLICIT, STARTTLS, FrontEnd, front_end

OAUTH = {"plain_loopback": True, "scope": "mail", "remember_seconds": 0}
UNHINDERED: dict[str, Any] = {"pop3": {"failure_delay": 0.0}, "abuse": {"enabled": False}}
"""Many a refusal in a short time, each answered at once."""


@pytest.fixture(scope="module")
def demo(trusting_demo: RunningDemo) -> RunningDemo:
    return trusting_demo


@pytest.fixture(scope="module")
def issuer(demo: RunningDemo) -> Iterator[Issuer]:
    """An issuer that the demo's first tenant trusts."""
    tenant = demo.accounts[0].tenant
    with issuing("RS256", "ES256") as running:
        demo.poplar("issuer", "create", tenant, "main", "--url", running.url, "--audience", AUDIENCE)
        yield running
        demo.poplar("issuer", "remove", tenant, "main", "--yes")


@pytest.fixture(scope="module")
def front(demo: RunningDemo, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that offers tokens already, and answers refusals at once."""
    assert issuer
    folder = tmp_path_factory.mktemp("tokens")
    with front_end(demo, folder, (IMPLICIT, STARTTLS), oauth=OAUTH, **UNHINDERED) as started:
        await_true(lambda: "OAUTHBEARER" in listed(demo, started), "tokens to be offered")
        yield started


@pytest.fixture(scope="module")
def known(demo: RunningDemo) -> Maildrop:
    """A maildrop with one message."""
    maildrop = new_maildrop(demo, "unused")
    maildrop.fill([PLAIN])
    return maildrop


@pytest.fixture
def wire(demo: RunningDemo, front: FrontEnd) -> Iterator[Wire]:
    with closing(dialled(front.place(), trusting(demo))) as wire:
        yield wire


def listed(demo: RunningDemo, front: FrontEnd) -> list[str]:
    with closing(dialled(front.place(), trusting(demo))) as wire:
        wire.say(b"CAPA")
        lines = wire.multi_line().decode().splitlines()
    return next(each for each in lines if each.startswith("SASL")).split()[1:]


def token_for(issuer: Issuer, maildrop: Maildrop, **differently: object) -> str:
    return issuer.token(**{"email": maildrop.account.address, **differently})  # type: ignore[arg-type]


def log_in(wire: Wire, name: str, token: str, way: str = "OAUTHBEARER", host: str = "localhost") -> bytes:
    """The last answer to a login; a challenge before it is answered and must be a refusal's."""
    text = message(way, token, name, host).replace(b"\x01port=995", b"")
    answer = wire.say(f"AUTH {way} ".encode() + line(text)[:-2])
    if answer.startswith(b"+ "):
        told = json.loads(b64decode(answer[2:-2], validate=True))
        assert told["status"] in ("invalid_token", "401")
        assert told["scope"] == "mail"
        return b"told, " + wire.say(b"AQ==")
    return answer


TOLD = b"told, " + FAILED


def test_it_is_listed_within_tls_alone(demo: RunningDemo, front: FrontEnd) -> None:
    """R86."""
    assert listed(demo, front) == ["OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"]
    with closing(dialled(front.place("clear"))) as wire:
        wire.say(b"CAPA")
        assert b"OAUTHBEARER" not in wire.multi_line()
        assert wire.say(b"AUTH OAUTHBEARER x").startswith(b"-ERR TLS required")


@pytest.mark.parametrize("program", PROGRAMS)
def test_c18_c20_a_program_fetches_with_a_token_of_over_1_kib(
    front: FrontEnd, issuer: Issuer, known: Maildrop, tmp_path: Path, program: str
) -> None:
    token = token_for(issuer, known, padding="x" * 900)
    assert len(token) > 1500
    done = PROGRAMS[program](tmp_path, known, front.place(), token)
    assert done.code == 0, done.said
    [message] = known.messages
    kept = Getmail().stored(PLAIN, message) if program.startswith("getmail") else with_local_line_ends(message)
    assert [with_local_line_ends(each) for each in done.brought] == [kept]


@pytest.mark.parametrize("program", PROGRAMS)
def test_c20_a_program_is_told_of_a_refusal_and_ends(
    front: FrontEnd, issuer: Issuer, known: Maildrop, tmp_path: Path, program: str
) -> None:
    done = PROGRAMS[program](tmp_path, known, front.place(), token_for(issuer, known, exp=1))
    assert done.code != 0
    assert done.brought == []
    if not program.startswith("curl"):
        assert "AUTH" in done.said.upper()


@pytest.mark.parametrize("way", ["OAUTHBEARER", "XOAUTH2"])
def test_a_token_opens_the_maildrop_it_names(wire: Wire, issuer: Issuer, known: Maildrop, way: str) -> None:
    assert log_in(wire, known.account.address, token_for(issuer, known), way).startswith(b"+OK")
    assert wire.say(b"STAT").startswith(b"+OK 1 ")
    wire.say(b"QUIT")


Bad = Callable[[Issuer, Maildrop], str]
BAD: dict[str, Bad] = {
    "D49 expired": lambda issuer, drop: token_for(issuer, drop, exp=1),
    "D52 wrong aud": lambda issuer, drop: token_for(issuer, drop, aud="other"),
    "D53 wrong iss": lambda issuer, drop: token_for(issuer, drop, iss="https://evil.example"),
    "of the future": lambda issuer, drop: token_for(issuer, drop, nbf=2_000_000_000_000),
    "another's": lambda issuer, drop: token_for(issuer, drop, email="x" + drop.account.address),
    "unverified mail": lambda issuer, drop: token_for(issuer, drop, email_verified=False),
    "no token": lambda _issuer, _drop: "opaque",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_told_and_refused(wire: Wire, issuer: Issuer, known: Maildrop, kind: str) -> None:
    assert log_in(wire, known.account.address, BAD[kind](issuer, known)) == TOLD


@pytest.mark.parametrize("kind", FORGERIES)
def test_d50_a_forged_token_is_told_and_refused(wire: Wire, issuer: Issuer, known: Maildrop, kind: str) -> None:
    claims = issuer.claims

    def theirs(**differently: object) -> dict[str, object]:
        return claims(**{"email": known.account.address, **differently})

    issuer.claims = theirs  # type: ignore[method-assign]
    try:
        assert log_in(wire, known.account.address, FORGERIES[kind](issuer)) == TOLD
    finally:
        issuer.claims = claims  # type: ignore[method-assign]


def test_d55_another_host_is_told_and_refused(
    demo: RunningDemo, front: FrontEnd, issuer: Issuer, known: Maildrop, tmp_path: Path
) -> None:
    """The name that TLS was asked for is what is known, or the names of the settings."""
    token = token_for(issuer, known)
    context, at = trusting(demo), Place("localhost", front.place().port)
    context.check_hostname = False
    for host, answer in (("other.example", TOLD), ("LOCALHOST", b"+OK")):
        with closing(dialled(at, context)) as wire:
            assert log_in(wire, known.account.address, token, host=host).startswith(answer)
            wire.say(b"QUIT")
    names = OAUTH | {"hosts": ["pop.example"]}
    with front_end(demo, tmp_path, oauth=names, **UNHINDERED) as named:
        await_true(lambda: "OAUTHBEARER" in listed(demo, named), "tokens to be offered")
        with closing(dialled(named.place(), trusting(demo))) as wire:
            assert log_in(wire, known.account.address, token) == TOLD
            assert log_in(wire, known.account.address, token, host="pop.example").startswith(b"+OK")
            wire.say(b"QUIT")


def test_g13_unknown_names_and_tenants_without_issuer_are_answered_alike(
    demo: RunningDemo, front: FrontEnd, issuer: Issuer, known: Maildrop
) -> None:
    other = next(each for each in demo.accounts if each.tenant != known.account.tenant)
    domain = known.account.address.partition("@")[2]
    for name in (f"nobody@{domain}", other.address, "nobody@nowhere.example", "nobody"):
        with closing(dialled(front.place(), trusting(demo))) as wire:
            assert log_in(wire, name, issuer.token(email=name)) == TOLD


def test_g14_an_issuer_that_is_away_is_no_fault_of_the_token_s(
    demo: RunningDemo, front: FrontEnd, known: Maildrop, tmp_path: Path
) -> None:
    tenant = known.account.tenant
    with issuing() as away:
        token = token_for(away, known)
        away.answers["/jwks"] = 503, b"", {}
        demo.poplar("issuer", "create", tenant, "away", "--url", away.url, "--audience", AUDIENCE)
        try:
            for name in (known.account.address, "nobody@" + known.account.address.partition("@")[2]):
                with closing(dialled(front.place(), trusting(demo))) as wire:
                    assert log_in(wire, name, token).startswith(b"-ERR [SYS/TEMP]")
        finally:
            demo.poplar("issuer", "remove", tenant, "away", "--yes")


def test_g11_a_suspended_issuer_binds_the_next_login(
    demo: RunningDemo, front: FrontEnd, issuer: Issuer, known: Maildrop
) -> None:
    """Another one stays, so that tokens are offered all the while."""
    assert issuer
    tenant = known.account.tenant
    with issuing() as second:
        token = token_for(second, known)
        demo.poplar("issuer", "create", tenant, "second", "--url", second.url, "--audience", AUDIENCE)
        answers = []
        for verb in ("resume", "suspend", "resume", "remove"):
            demo.poplar("issuer", verb, tenant, "second")
            with closing(dialled(front.place(), trusting(demo))) as wire:
                answers.append(log_in(wire, known.account.address, token)[:4])
                wire.say(b"QUIT")
    assert answers == [b"+OK ", b"told", b"+OK ", b"told"]


def test_a_token_that_only_its_issuer_can_read_is_asked_about(
    demo: RunningDemo, front: FrontEnd, issuer: Issuer, known: Maildrop
) -> None:
    tenant = known.account.tenant
    words = ("--url", issuer.url, "--audience", AUDIENCE, "--method", "introspection", "--client-id", CLIENT)
    demo.poplar("issuer", "create", tenant, "asked", *words, "--secret-stdin", told=SECRET + "\n")
    issuer.opaque["opaque-and-good"] = issuer.claims(email=known.account.address)
    try:
        with closing(dialled(front.place(), trusting(demo))) as wire:
            assert log_in(wire, known.account.address, "opaque-and-bad") == TOLD
            assert log_in(wire, known.account.address, "opaque-and-good").startswith(b"+OK")
            wire.say(b"QUIT")
    finally:
        demo.poplar("issuer", "remove", tenant, "asked", "--yes")


def test_a_new_key_of_the_issuer_s_is_found(
    demo: RunningDemo, front: FrontEnd, issuer: Issuer, known: Maildrop
) -> None:
    def opens() -> bool:
        with closing(dialled(front.place(), trusting(demo))) as wire:
            answer = log_in(wire, known.account.address, token_for(issuer, known))
            return answer.startswith(b"+OK") and wire.say(b"QUIT").startswith(b"+OK")

    assert opens()
    issuer.keys = {"next": make_key("RS256", "next")} | issuer.keys
    # An issuer isn't asked twice within a few seconds.
    await_true(opens, "the new key to be found")
    del issuer.keys["next"]


def test_g17_no_token_is_logged(front: FrontEnd, wire: Wire, issuer: Issuer, known: Maildrop) -> None:
    token = token_for(issuer, known, exp=1)
    assert log_in(wire, known.account.address, token) == TOLD
    await_true(lambda: "the token has expired" in front.command.said, "the refusal to be logged")
    assert token not in front.command.said
    assert token.split(".")[2] not in front.command.said
