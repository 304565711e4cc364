"""SCRAM-SHA-256 against the real program: by mpop, by a client library, and by those who guess. D35 to D47, G11, G13.

RFC 5034 §4, RFC 5802 §5 and §6, RFC 7677 §3 and §4, RFC 5929 §3 and §4; RFC 2595 §4 (STLS).
"""

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from scramp import ScramClient as Scramp

from service.settings import load_settings
from tests.backends.demo import RunningDemo
from tests.cli.conftest import await_true
from tests.protocol.pop3.test_scram_session import FAILED
from tests.protocol.sasl.scram_client import ScramClient
from tests.system.clients.gsasl import conversation
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop, trusting
from tests.system.clients.program import Spool, needed, private_file, run, with_local_line_ends
from tests.system.front_end import IMPLICIT, STARTTLS, TERMINATED, FrontEnd, front_end

PASSWORD = "pass, w=rd"
HASHING = {"scram": True, "scram_secret": "for the tests of SCRAM alone, and long"}
BOUND = HASHING | {"scram_plus": "always"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scram")


@pytest.fixture(scope="module")
def front(demo: RunningDemo, folder: Path) -> Iterator[FrontEnd]:
    """A front end that offers SCRAM and answers wrong passwords at once."""
    with front_end(demo, folder, (IMPLICIT, STARTTLS), hashing=BOUND, pop3={"failure_delay": 0.0}) as started:
        yield started


@pytest.fixture(scope="module")
def known(demo: RunningDemo, front: FrontEnd, folder: Path) -> Maildrop:
    """A maildrop whose password has keys, with one message."""
    maildrop = new_maildrop(demo, PASSWORD, settings=load_settings(folder / "poplar.yaml"))
    maildrop.fill([PLAIN])
    return maildrop


@pytest.fixture
def wire(demo: RunningDemo, front: FrontEnd) -> Iterator[Wire]:
    with closing(dialled(front.place(), trusting(demo))) as wire:
        yield wire


def line(text: bytes) -> bytes:
    return b64encode(text)


def challenge(answer: bytes) -> bytes:
    assert answer.startswith(b"+ ")
    return b64decode(answer[2:-2], validate=True)


def asked(wire: Wire, name: str) -> bytes:
    """The server's first message to a client that calls itself `name`; the exchange is given up."""
    said = challenge(wire.say(b"AUTH SCRAM-SHA-256 " + line(ScramClient(name, nonce="abc").first)))
    wire.say(b"*")
    return said


def test_it_is_listed_before_and_after_login(wire: Wire, known: Maildrop) -> None:
    wire.say(b"CAPA")
    assert b"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" in wire.multi_line()
    wire.say(f"USER {known.account.address}".encode())
    assert wire.say(f"PASS {PASSWORD}".encode()).startswith(b"+OK")
    wire.say(b"CAPA")
    assert b"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" in wire.multi_line()
    wire.say(b"QUIT")


def test_it_isn_t_listed_in_clear_or_where_it_is_off(demo: RunningDemo, front: FrontEnd) -> None:
    for place, context in ((front.place("clear"), None), (demo.place("pop3s"), trusting(demo))):
        with closing(dialled(place, context)) as wire:
            wire.say(b"CAPA")
            assert b"SCRAM" not in wire.multi_line()
            assert wire.say(b"AUTH SCRAM-SHA-256 biws").startswith(b"-ERR")


def test_a_client_library_and_the_server_convince_each_other(wire: Wire, known: Maildrop) -> None:
    client = Scramp(["SCRAM-SHA-256"], known.account.address, PASSWORD)
    client.set_server_first(
        challenge(wire.say(b"AUTH SCRAM-SHA-256 " + line(client.get_client_first().encode()))).decode()
    )
    client.set_server_final(challenge(wire.say(line(client.get_client_final().encode()))).decode())
    assert wire.say(b"").startswith(b"+OK")
    assert wire.say(b"STAT").startswith(b"+OK 1 ")
    wire.say(b"QUIT")


@pytest.mark.parametrize("password", ["wrong", PASSWORD + " "])
def test_a_wrong_password_is_refused_like_an_unknown_name(wire: Wire, known: Maildrop, password: str) -> None:
    answers = []
    for name in (known.account.address, "nobody@" + known.account.address.partition("@")[2]):
        client = ScramClient(name, password)
        first = challenge(wire.say(b"AUTH SCRAM-SHA-256 " + line(client.first)))
        answers.append(wire.say(line(client.final(first))))
    assert answers == [FAILED, FAILED]


def test_d47_nobody_s_salt_is_as_lasting_as_anybody_s(demo: RunningDemo, front: FrontEnd, known: Maildrop) -> None:
    name, domain = known.account.address.split("@")
    told: dict[str, set[bytes]] = {}
    for asker in (name, "nobody", "nobody-else"):
        for _ in range(2):
            with closing(dialled(front.place(), trusting(demo))) as wire:
                nonce, _, salt_and_rounds = asked(wire, f"{asker}@{domain}").partition(b",")
                assert nonce.startswith(b"r=abc")
                told.setdefault(asker, set()).add(salt_and_rounds)
    assert [len(salts) for salts in told.values()] == [1, 1, 1]
    assert len(set.union(*told.values())) == 3
    assert len({(len(one), one.rpartition(b"i=")[2]) for salts in told.values() for one in salts}) == 1


def test_d47_another_front_end_with_the_same_secret_gives_the_same_salt(
    demo: RunningDemo, front: FrontEnd, folder: Path, wire: Wire
) -> None:
    with (
        front_end(demo, folder / "other", hashing=HASHING) as other,
        closing(dialled(other.place(), trusting(demo))) as its_wire,
    ):
        salts = {asked(each, "nobody@nowhere.example").partition(b",")[2] for each in (wire, its_wire)}
    assert len(salts) == 1


def test_a_password_from_before_gets_keys_by_being_used_and_its_salt_doesn_t_tell(
    demo: RunningDemo, wire: Wire, front: FrontEnd
) -> None:
    maildrop = new_maildrop(demo, PASSWORD)
    before = asked(wire, maildrop.account.address).partition(b",")[2]
    assert not proves_itself(demo, front, maildrop)
    with maildrop.session(front.place()):
        pass
    await_true(lambda: proves_itself(demo, front, maildrop), "the keys to be there")
    assert asked(wire, maildrop.account.address).partition(b",")[2] == before


def proves_itself(demo: RunningDemo, front: FrontEnd, maildrop: Maildrop) -> bool:
    """Whether the maildrop's password opens it by SCRAM."""
    client = ScramClient(maildrop.account.address, maildrop.account.password)
    with closing(dialled(front.place(), trusting(demo))) as wire:
        first = challenge(wire.say(b"AUTH SCRAM-SHA-256 " + line(client.first)))
        answer = wire.say(line(client.final(first)))
        if answer == FAILED:
            return False
        assert client.trusts(challenge(answer))
        assert wire.say(b"").startswith(b"+OK")
        return wire.say(b"QUIT").startswith(b"+OK")


def test_g11_a_changed_password_binds_scram_too(demo: RunningDemo, wire: Wire, front: FrontEnd, folder: Path) -> None:
    maildrop = new_maildrop(demo, PASSWORD, settings=load_settings(folder / "poplar.yaml"))
    name = maildrop.account.address
    before = asked(wire, name).partition(b",")[2]
    demo.poplar("credential", "change", name, "--password-stdin", told="another\n")
    for password in (PASSWORD, "another"):
        client = ScramClient(name, password)
        first = challenge(wire.say(b"AUTH SCRAM-SHA-256 " + line(client.first)))
        assert first.partition(b",")[2] != before
        assert wire.say(line(client.final(first))) == FAILED


@pytest.mark.parametrize(("listener", "prefix"), [("own", ""), ("clear", ""), ("own", "recent:")])
def test_mpop_fetches_by_scram_over_implicit_tls_and_over_stls(
    front: FrontEnd, known: Maildrop, tmp_path: Path, listener: str, prefix: str
) -> None:
    program, spool, at = needed("mpop"), Spool(tmp_path), front.place(listener)
    settings = private_file(
        tmp_path / "mpoprc",
        f"account default\nhost {at.host}\nport {at.port}\ntls on\n"
        f"tls_starttls {'on' if listener == 'clear' else 'off'}\ntls_trust_file {known.demo.ca_file}\n"
        f"auth scram-sha-256\nuser {prefix}{known.account.address}\n"
        f"passwordeval cat {private_file(tmp_path / 'password', PASSWORD)}\n"
        f"delivery mda {spool.script}\nuidls_file {tmp_path / 'uidls'}\nreceived_header off\nkeep on\n",
    )
    before = len(mechanisms(front))
    done = run(tmp_path, program, "--half-quiet", "--file", str(settings))
    assert done.returncode == 0, done.stderr.decode()
    assert spool.brought == [with_local_line_ends(message) for message in known.messages]
    await_true(lambda: len(mechanisms(front)) > before, "the session to be logged")
    assert mechanisms(front)[before:] == ["SCRAM-SHA-256"]


def mechanisms(front: FrontEnd) -> list[str]:
    """By which mechanism each session that is over had logged in."""
    lines = [json.loads(line) for line in front.command.said.splitlines() if '"mechanism"' in line]
    return [line["mechanism"] for line in lines if line["mechanism"] and line["event"] != "login refused"]


def plus(wire: Wire, maildrop: Maildrop, kind: str, context: ssl.SSLSocket | None = None) -> bytes:
    """The answer to a login by SCRAM-SHA-256-PLUS, bound to the wire's own TLS or to another connection's."""
    binding = (kind, context or wire.sock)
    client = Scramp(
        ["SCRAM-SHA-256-PLUS"], maildrop.account.address, maildrop.account.password, channel_binding=binding
    )
    answer = wire.say(b"AUTH SCRAM-SHA-256-PLUS " + line(client.get_client_first().encode()))
    if answer.startswith(b"-ERR"):
        return answer
    client.set_server_first(challenge(answer).decode())
    answer = wire.say(line(client.get_client_final().encode()))
    if answer.startswith(b"-ERR"):
        return answer
    client.set_server_final(challenge(answer).decode())
    return wire.say(b"")


def within_tls_1_2(demo: RunningDemo) -> ssl.SSLContext:
    context = trusting(demo)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_r85_a_client_library_gets_in_bound_to_the_certificate(wire: Wire, known: Maildrop) -> None:
    assert plus(wire, known, "tls-server-end-point").startswith(b"+OK")
    assert wire.say(b"STAT").startswith(b"+OK 1 ")
    wire.say(b"QUIT")


def test_r85_a_client_library_gets_in_bound_to_the_handshake_of_tls_1_2(
    demo: RunningDemo, front: FrontEnd, known: Maildrop
) -> None:
    with closing(dialled(front.place(), within_tls_1_2(demo))) as wire:
        assert plus(wire, known, "tls-unique").startswith(b"+OK")
        wire.say(b"QUIT")


@pytest.mark.parametrize(("password", "gets_in"), [(PASSWORD, True), ("wrong", False)])
def test_r85_gnu_sasl_and_the_server_convince_each_other_within_tls_1_2(
    demo: RunningDemo, front: FrontEnd, known: Maildrop, password: str, gets_in: bool
) -> None:
    """Its version 2.2 binds by tls-unique, or by tls-exporter, which Python's ssl module doesn't have."""
    with closing(dialled(front.place(), within_tls_1_2(demo))) as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        unique = b64encode(wire.sock.get_channel_binding("tls-unique") or b"").decode()
        properties = {"authid": known.account.address, "password": password, "tls-unique": unique}
        with conversation("SCRAM-SHA-256-PLUS", properties) as client:
            answer = wire.say(b"AUTH SCRAM-SHA-256-PLUS " + client.step(b""))
            while answer.startswith(b"+ "):
                answer = wire.say(client.step(answer[2:-2]))
            assert client.done is gets_in
    assert answer.startswith(b"+OK") if gets_in else answer == FAILED


def test_r85_what_is_bound_to_another_connection_opens_nothing(
    demo: RunningDemo, front: FrontEnd, known: Maildrop
) -> None:
    context = within_tls_1_2(demo)
    with closing(dialled(front.place(), context)) as wire, closing(dialled(front.place(), context)) as other:
        assert isinstance(other.sock, ssl.SSLSocket)
        assert plus(wire, known, "tls-unique", other.sock) == FAILED


def test_r85_a_client_that_was_shown_no_binding_is_refused(wire: Wire, known: Maildrop) -> None:
    client = ScramClient(known.account.address, PASSWORD, header="y,,")
    assert wire.say(b"AUTH SCRAM-SHA-256 " + line(client.first)) == FAILED


@pytest.mark.parametrize(("setting", "in_1_2", "in_1_3"), [("never", False, False), (None, True, False)])
def test_binding_is_offered_by_the_setting(
    demo: RunningDemo, tmp_path: Path, setting: str | None, in_1_2: bool, in_1_3: bool
) -> None:
    """RFC 9266 §3: in TLS 1.3 a client may want tls-exporter and nothing else."""
    hashing = HASHING | ({"scram_plus": setting} if setting else {})
    with front_end(demo, tmp_path, hashing=hashing) as its:
        for context, offered in ((within_tls_1_2(demo), in_1_2), (trusting(demo), in_1_3)):
            with closing(dialled(its.place(), context)) as wire:
                wire.say(b"CAPA")
                assert (b" SCRAM-SHA-256-PLUS " in wire.multi_line()) is offered


def test_binding_is_offered_only_where_tls_ends_here(demo: RunningDemo, folder: Path, known: Maildrop) -> None:
    with (
        front_end(demo, folder / "behind", (TERMINATED,), hashing=BOUND) as behind,
        closing(dialled(behind.place("terminated"))) as its_wire,
    ):
        its_wire.say(b"CAPA")
        assert b"SASL SCRAM-SHA-256 PLAIN LOGIN\r\n" in its_wire.multi_line()
        client = ScramClient(known.account.address, PASSWORD, header="y,,")
        first = challenge(its_wire.say(b"AUTH SCRAM-SHA-256 " + line(client.first)))
        assert client.trusts(challenge(its_wire.say(line(client.final(first)))))
        assert its_wire.say(b"").startswith(b"+OK")
        its_wire.say(b"QUIT")
