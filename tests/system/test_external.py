"""EXTERNAL against the real program: by mpop, by curl and by openssl's client, with certificates of two authorities.

R106, G10, G13. RFC 4422 appendix A and A.1; RFC 8314 §4.2 (never by itself); RFC 5034 §3 and §4; RFC 2595 §4 (STLS).
"""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from tests.backends.demo import RunningDemo
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop, trusting
from tests.system.clients.program import Spool, needed, private_file, run, with_local_line_ends
from tests.system.clients.token_programs import mpop_settings
from tests.system.front_end import IMPLICIT, STARTTLS, FrontEnd, front_end
from tests.system.test_bad_logins import FAILED
from tests.system.test_tokens import UNHINDERED


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def front(demo: RunningDemo, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that asks for clients' certificates and answers refusals at once."""
    folder = tmp_path_factory.mktemp("external")
    authority.cert_pem.write_to_path(str(folder / "clients.pem"))
    tls = {"client_ca": str(folder / "clients.pem")}
    with front_end(demo, folder, (IMPLICIT, STARTTLS), tls=tls, **UNHINDERED) as started:
        yield started


@pytest.fixture(scope="module")
def known(demo: RunningDemo) -> Maildrop:
    maildrop = new_maildrop(demo, "unused")
    maildrop.fill([PLAIN])
    return maildrop


def showing(demo: RunningDemo, authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A client's context that shows a certificate with these names."""
    context = trusting(demo)
    authority.issue_cert(*names).configure_cert(context)
    return context


def sasl(wire: Wire) -> str:
    wire.say(b"CAPA")
    return next(line for line in wire.multi_line().decode().splitlines() if line.startswith("SASL"))


def external(wire: Wire, name: str | None) -> bytes:
    return wire.say(b"AUTH EXTERNAL " + (b64encode(name.encode()) if name else b"="))


def test_a_certificate_opens_the_maildrop_it_names_when_it_is_asked_to(
    demo: RunningDemo, front: FrontEnd, authority: trustme.CA, known: Maildrop
) -> None:
    address = known.account.address
    for name in (None, address):
        with closing(dialled(front.place(), showing(demo, authority, address))) as wire:
            assert wire.say(b"STAT").startswith(b"-ERR")
            assert sasl(wire) == "SASL EXTERNAL PLAIN LOGIN"
            assert external(wire, name).startswith(b"+OK")
            assert wire.say(b"STAT").startswith(b"+OK 1 ")
            assert sasl(wire) == "SASL EXTERNAL PLAIN LOGIN"
            wire.say(b"QUIT")


def test_it_is_neither_listed_nor_taken_without_a_certificate(demo: RunningDemo, front: FrontEnd) -> None:
    with closing(dialled(front.place(), trusting(demo))) as wire:
        assert sasl(wire) == "SASL PLAIN LOGIN"
        assert external(wire, None).startswith(b"-ERR Unsupported mechanism")


def test_no_certificate_is_asked_for_where_no_setting_says_so(
    demo: RunningDemo, authority: trustme.CA, known: Maildrop
) -> None:
    with closing(dialled(demo.place("pop3s"), showing(demo, authority, known.account.address))) as wire:
        assert "EXTERNAL" not in sasl(wire)


def test_g13_another_s_name_and_nobody_s_are_refused_alike(
    demo: RunningDemo, front: FrontEnd, authority: trustme.CA, known: Maildrop
) -> None:
    address, domain = known.account.address, known.account.address.partition("@")[2]
    other = next(each for each in demo.accounts if each.tenant != known.account.tenant)
    tries = [((address,), other.address), ((f"nobody@{domain}",), None), ((f"nobody@{domain}",), address)]
    for names, name in [*tries, ((address, other.address), None), (("user+tag@x.example",), "user+tag@x.example")]:
        with closing(dialled(front.place(), showing(demo, authority, *names))) as wire:
            assert external(wire, name) == FAILED


def test_a_suspended_maildrop_stays_shut(demo: RunningDemo, front: FrontEnd, authority: trustme.CA) -> None:
    maildrop = new_maildrop(demo, "unused")
    demo.poplar("maildrop", "suspend", maildrop.account.address)
    with closing(dialled(front.place(), showing(demo, authority, maildrop.account.address))) as wire:
        assert external(wire, None) == FAILED


def test_a_certificate_of_another_authority_ends_the_handshake(
    demo: RunningDemo, front: FrontEnd, known: Maildrop
) -> None:
    context = showing(demo, trustme.CA(), known.account.address)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dialled(front.place(), context)


@pytest.fixture
def pair(authority: trustme.CA, known: Maildrop, tmp_path: Path) -> tuple[Path, Path]:
    """The files of a certificate that names the maildrop, and of its key."""
    issued = authority.issue_cert(known.account.address)
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.crt"))
    private_file(tmp_path / "client.key", issued.private_key_pem.bytes().decode())
    return tmp_path / "client.crt", tmp_path / "client.key"


def test_mpop_fetches_with_a_certificate(
    front: FrontEnd, known: Maildrop, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    settings = private_file(
        tmp_path / "mpoprc",
        mpop_settings(tmp_path, known, front.place(), spool)
        + f"auth external\ntls_cert_file {pair[0]}\ntls_key_file {pair[1]}\n",
    )
    done = run(tmp_path, needed("mpop"), "--half-quiet", "--file", str(settings))
    assert done.returncode == 0, done.stderr.decode()
    assert spool.brought == [with_local_line_ends(each) for each in known.messages]


def test_curl_fetches_with_a_certificate(
    front: FrontEnd, known: Maildrop, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    command = (needed("curl"), "--silent", "--show-error", "--cacert", known.demo.ca_file, "--cert", str(pair[0]))
    more = ("--key", str(pair[1]), "--user", f"{known.account.address}:", "--login-options", "AUTH=EXTERNAL")
    done = run(tmp_path, *command, *more, f"pop3s://{front.place()}/1")
    assert done.returncode == 0, done.stderr.decode()
    assert [done.stdout] == known.messages


def test_openssl_s_client_logs_in_after_stls(
    front: FrontEnd, known: Maildrop, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    command = (needed("openssl"), "s_client", "-quiet", "-crlf", "-CAfile", known.demo.ca_file, "-starttls", "pop3")
    more = ("-cert", str(pair[0]), "-key", str(pair[1]), "-connect", str(front.place("clear")))
    done = run(tmp_path, *command, *more, told=b"AUTH EXTERNAL =\nSTAT\nQUIT\n")
    assert b"+OK 1 " in done.stdout, done.stderr.decode()
