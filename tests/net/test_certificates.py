"""Certificates by name, and their replacement: RFC 8314 §4.4, RFC 6066 §3, RFC 6125 §6.4.3."""

import asyncio
import errno
import os
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from service.net import certificates as module
from service.net.arrival import ListenerSpec
from service.net.certificates import Certificates
from service.net.peer import TlsMode
from tests.net.conftest import Stage, write_pair
from tests.net.odd_certificates import EDI, X400, host, odd
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)


def handshake(certificates: Certificates, ca: trustme.CA, name: str | None) -> tuple[bytes, ssl.SSLObject]:
    """The certificate that a client that asks for `name` is shown, without a socket."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    context.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificates.context().wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return shown, client


def names_shown(certificates: Certificates, ca: trustme.CA, name: str | None) -> list[str]:
    leaf = x509.load_der_x509_certificate(handshake(certificates, ca, name)[0])
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


@pytest.fixture
def problems() -> list[tuple[str, Exception]]:
    return []


@pytest.fixture
def folder(tmp_path: Path, ca: trustme.CA) -> Path:
    """Three pairs: the default, one of another tenant, one with a wildcard in a folder of its own."""
    write_pair(tmp_path / "tls", "default", ca, "pop.example")
    write_pair(tmp_path / "tls", "mail.tenant.example", ca, "mail.tenant.example", "pop.tenant.example")
    write_pair(tmp_path / "tls" / "wild", "tls", ca, "*.wild.example")
    return tmp_path / "tls"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("pop.example", "pop.example"),
        ("mail.tenant.example", "mail.tenant.example"),
        ("pop.tenant.example", "mail.tenant.example"),
        ("POP.Tenant.Example", "mail.tenant.example"),
        ("any.wild.example", "*.wild.example"),
        ("two.labels.wild.example", "pop.example"),
        ("wild.example", "pop.example"),
        ("stranger.example", "pop.example"),
        (None, "pop.example"),
    ],
)
async def test_the_name_a_client_asks_for_chooses_the_pair(
    folder: Path, ca: trustme.CA, asked: str | None, shown: str
) -> None:
    """RFC 6066 §3, RFC 6125 §6.4.3."""
    assert names_shown(Certificates(folder), ca, asked)[0] == shown


async def test_without_a_default_the_first_by_name_stands_in(tmp_path: Path, ca: trustme.CA) -> None:
    for name in ("b", "a", "c"):
        write_pair(tmp_path, name, ca, f"{name}.example")
    assert names_shown(Certificates(tmp_path), ca, None) == ["a.example"]


async def test_a_pem_file_with_a_key_beside_it_is_a_pair(tmp_path: Path, ca: trustme.CA) -> None:
    write_pair(tmp_path, "x", ca, "x.example")
    (tmp_path / "x.crt").rename(tmp_path / "x.pem")
    assert list(Certificates(tmp_path).expires) == ["x"]


async def test_of_two_pairs_with_one_name_the_one_that_expires_later_answers(tmp_path: Path, ca: trustme.CA) -> None:
    write_pair(tmp_path, "a-long", ca, "pop.example", "long.example", days=90)
    write_pair(tmp_path, "b-short", ca, "pop.example", "short.example", days=2)
    assert "long.example" in names_shown(Certificates(tmp_path), ca, "pop.example")


@pytest.fixture
def staged(folder: Path, ca: trustme.CA) -> Certificates:
    """With a later `default`, and later ones for two names, one of which a wildcard covers until then."""
    begins = datetime.now(UTC) + timedelta(days=10)
    for name, names in {"default": ["late.example"], "x": ["pop.tenant.example", "x"], "y": ["a.wild.example"]}.items():
        write_pair(folder, name, ca, *names, days=90, begins=begins)
    write_pair(folder, "alone", ca, "alone.example", days=90, begins=begins + timedelta(days=1))
    return Certificates(folder)


async def test_a_certificate_that_isn_t_valid_yet_answers_only_where_no_other_does(
    staged: Certificates, ca: trustme.CA
) -> None:
    assert names_shown(staged, ca, "pop.tenant.example")[0] == "mail.tenant.example"
    assert names_shown(staged, ca, "a.wild.example") == ["*.wild.example"]
    for name in (None, "stranger.example"):
        assert names_shown(staged, ca, name)[0] == "mail.tenant.example"
    for name in ("alone.example", "late.example"):
        assert staged._pair_for(name).names == (name,)


async def test_a_certificate_answers_from_the_moment_it_is_valid_without_a_reload(
    staged: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = staged.begins["x"].timestamp()
    monkeypatch.setattr("service.net.certificates.time", lambda: begins - 1)
    assert staged._pair_for("pop.tenant.example").names[0] == "mail.tenant.example"
    monkeypatch.setattr("service.net.certificates.time", lambda: begins)
    assert staged._pair_for("pop.tenant.example").names == ("pop.tenant.example", "x")
    assert staged._pair_for("a.wild.example").names == ("a.wild.example",)
    assert staged._pair_for(None).names == ("late.example",)


async def test_where_no_certificate_is_valid_yet_they_are_served_all_the_same(tmp_path: Path, ca: trustme.CA) -> None:
    """The clock may be wrong here, and right at the client."""
    write_pair(tmp_path, "a", ca, "a.example", begins=datetime.now(UTC) + timedelta(days=1))
    assert Certificates(tmp_path)._pair_for(None).names == ("a.example",)


async def test_a_certificate_without_alternative_names_answers_to_its_common_name(
    tmp_path: Path, ca: trustme.CA
) -> None:
    write_pair(tmp_path, "default", ca, "pop.example")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Old.Example")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(datetime.now(UTC)).not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
    )
    (tmp_path / "old.crt").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (tmp_path / "old.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificates = Certificates(tmp_path)
    assert certificates._pair_for("old.example").expires.year == 2099
    assert certificates._pair_for("pop.example").expires.year < 2099


async def test_each_pair_tells_when_it_expires(folder: Path) -> None:
    expires = Certificates(folder).expires
    assert set(expires) == {"default", "mail.tenant.example", "wild"}
    assert all(moment.tzinfo is not None for moment in expires.values())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_replaced_pair_is_served_by_a_listener_that_listens_already(
    stage: Stage, ca: trustme.CA, pairs: Path, trusting: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """RFC 8314 §4.4."""
    trusting.maximum_version = version
    port = stage.start(IMPLICIT)
    old = TlsWire(await Wire.to(port), trusting, "pop.example")
    await old.handshake()
    before = old.tls.getpeercert(binary_form=True)
    write_pair(pairs, "default", ca, "pop.example", "new.example")
    assert await stage.certificates.reload()
    new = TlsWire(await Wire.to(port), trusting, "pop.example")
    await new.handshake()
    assert new.tls.getpeercert(binary_form=True) != before
    await old.line()
    await old.send(b"still here\r\n")
    assert await old.line() == b"still here"


async def test_a_reload_without_a_change_changes_nothing(folder: Path) -> None:
    certificates = Certificates(folder)
    assert not await certificates.reload()


async def test_a_new_and_a_vanished_pair_are_noticed(folder: Path, ca: trustme.CA) -> None:
    certificates = Certificates(folder)
    write_pair(folder, "late", ca, "late.example")
    (folder / "wild" / "tls.key").unlink()
    assert await certificates.reload()
    assert set(certificates.expires) == {"default", "mail.tenant.example", "late"}
    assert names_shown(certificates, ca, "late.example") == ["late.example"]
    assert names_shown(certificates, ca, "any.wild.example") == ["pop.example"]


async def test_kubernetes_swaps_of_a_symlink_are_noticed(tmp_path: Path, ca: trustme.CA) -> None:
    mounted = tmp_path / "mounted"
    write_pair(mounted / "..1", "tls", ca, "one.example")
    write_pair(mounted / "..2", "tls", ca, "two.example")
    (mounted / "..data").symlink_to("..1")
    for file in ("tls.crt", "tls.key"):
        (mounted / file).symlink_to(f"..data/{file}")
    certificates = Certificates(mounted)
    assert names_shown(certificates, ca, None) == ["one.example"]
    (mounted / "..new").symlink_to("..2")
    (mounted / "..new").rename(mounted / "..data")
    assert await certificates.reload()
    assert names_shown(certificates, ca, None) == ["two.example"]


async def test_a_broken_pair_keeps_the_old_one_and_is_reported_once(
    folder: Path, ca: trustme.CA, problems: list[tuple[str, Exception]]
) -> None:
    certificates = Certificates(folder, report=lambda *problem: problems.append(problem))
    (folder / "mail.tenant.example.crt").write_text("no certificate")
    await certificates.reload()
    await certificates.reload()
    assert [name for name, _ in problems] == ["mail.tenant.example"]
    assert certificates.broken == 1
    assert names_shown(certificates, ca, "pop.tenant.example")[0] == "mail.tenant.example"


async def test_a_pair_that_could_not_be_opened_is_tried_again_and_reported_once(
    folder: Path, ca: trustme.CA, problems: list[tuple[str, Exception]], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(folder, report=lambda *problem: problems.append(problem))
    write_pair(folder, "default", ca, "renewed.example")
    (folder / "mail.tenant.example.crt").write_text("no certificate")
    load = module._load

    def load_without_descriptors(files: module._Files, rules: module._Rules) -> module._Pair:
        if files.chain.stem == "default":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return load(files, rules)

    with monkeypatch.context() as short:
        short.setattr(module, "_load", load_without_descriptors)
        assert [await certificates.reload() for _ in range(3)] == [True, False, False]
    assert (names_shown(certificates, ca, None), certificates.broken) == (["pop.example"], 2)
    assert [await certificates.reload() for _ in range(2)] == [True, False]
    assert (names_shown(certificates, ca, None), certificates.broken) == (["renewed.example"], 1)
    assert [name for name, _ in problems] == ["default", "mail.tenant.example"]


@pytest.mark.parametrize("beside", [X400, EDI], ids=["x400Address", "ediPartyName"])
async def test_a_pair_whose_names_can_t_be_read_is_reported_and_keeps_nothing_else_from_being_taken_up(
    folder: Path, ca: trustme.CA, problems: list[tuple[str, Exception]], beside: bytes
) -> None:
    certificates = Certificates(folder, report=lambda *problem: problems.append(problem))
    certificate, key = odd(ca, host("a.example"), beside)
    (folder / "a.crt").write_bytes(certificate)
    (folder / "a.key").write_bytes(key)
    write_pair(folder, "default", ca, "renewed.example")
    assert await certificates.reload()
    assert names_shown(certificates, ca, None) == ["renewed.example"]
    assert [(name, type(error)) for name, error in problems] == [("a", ValueError)]
    assert certificates.broken == 1
    assert names_shown(Certificates(folder), ca, None) == ["renewed.example"]


async def test_a_certificate_without_its_key_yet_waits_for_it(
    folder: Path, ca: trustme.CA, problems: list[tuple[str, Exception]]
) -> None:
    certificates = Certificates(folder, report=lambda *problem: problems.append(problem))
    old_key = (folder / "default.key").read_bytes()
    write_pair(folder, "default", ca, "renewed.example")
    new_key = (folder / "default.key").read_bytes()
    (folder / "default.key").write_bytes(old_key)
    await certificates.reload()
    assert isinstance(problems[0][1], ssl.SSLError)
    assert certificates.broken == 1
    assert names_shown(certificates, ca, None) == ["pop.example"]
    (folder / "default.key").write_bytes(new_key)
    await certificates.reload()
    assert names_shown(certificates, ca, None) == ["renewed.example"]
    assert len(problems) == 1
    assert certificates.broken == 0


async def test_when_all_pairs_vanish_the_old_ones_stay(
    pairs: Path, ca: trustme.CA, problems: list[tuple[str, Exception]]
) -> None:
    certificates = Certificates(pairs, report=lambda *problem: problems.append(problem))
    (pairs / "default.key").unlink()
    await certificates.reload()
    assert [name for name, _ in problems] == ["pairs"]
    assert certificates.broken == 1
    assert names_shown(certificates, ca, None) == ["pop.example", "localhost"]


async def test_an_encrypted_key_is_an_error_and_asks_nobody(pairs: Path, ca: trustme.CA) -> None:
    key = load_pem_private_key((pairs / "default.key").read_bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (pairs / "default.key").write_bytes(encrypted)
    with pytest.raises(FileNotFoundError, match="no usable certificate"):
        Certificates(pairs)


async def test_a_directory_without_a_pair_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lonely.crt").write_text("")
    with pytest.raises(FileNotFoundError):
        Certificates(tmp_path)
    with pytest.raises(FileNotFoundError):
        Certificates(tmp_path / "missing")


async def test_the_watch_reloads_and_outlives_a_missing_directory(
    pairs: Path, ca: trustme.CA, problems: list[tuple[str, Exception]]
) -> None:
    reported = asyncio.Event()

    def report(name: str, error: Exception) -> None:
        problems.append((name, error))
        reported.set()

    certificates = Certificates(pairs, report=report)
    watching = asyncio.get_running_loop().create_task(certificates.watch(0.01))
    shutil.move(pairs, pairs.with_name("away"))
    await reported.wait()
    write_pair(pairs, "back", ca, "back.example")
    write_pair(pairs, "broken", ca, "broken.example")
    (pairs / "broken.key").write_text("")
    while "broken" not in [name for name, _ in problems]:
        reported.clear()
        await reported.wait()
    await asyncio.sleep(0)
    watching.cancel()
    assert names_shown(certificates, ca, None) == ["back.example"]


async def test_a_ticket_resumes_a_session_and_outlives_a_reload(
    stage: Stage, ca: trustme.CA, pairs: Path, trusting: ssl.SSLContext
) -> None:
    """RFC 5077 §3.1: in TLS 1.2, where to resume spares the client a round trip."""
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    port = stage.start(IMPLICIT)
    first = TlsWire(await Wire.to(port), trusting, "pop.example")
    await first.handshake()
    await first.line()
    write_pair(pairs, "default", ca, "pop.example")
    await stage.certificates.reload()
    again = TlsWire(await Wire.to(port), trusting, "pop.example", session=first.tls.session)
    await again.handshake()
    await again.line()
    assert again.tls.session_reused


async def test_tls_1_3_gives_no_ticket_out(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8446 §4.6.1: it would spare no round trip, and the server nothing."""
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    await client.line()
    assert client.tls.version() == "TLSv1.3"
    assert client.tls.session is not None
    assert not client.tls.session.has_ticket
