"""What a connection can be bound to and whom a client's certificate names, on both event loops.

R85, R106. RFC 5929 §3, §4 and §4.1; RFC 7677 §4; RFC 5280 §4.2.1.6; RFC 8314 §4.2; RFC 2595 §4.
"""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from service.net.arrival import ListenerSpec
from service.net.certificates import Certificates
from service.net.listener import Rejection
from service.net.peer import TlsFacts, TlsMode
from service.net.tls_identity import end_point
from tests.net.conftest import Stage, write_pair
from tests.net.odd_certificates import EDI, X400, mailbox, odd
from tests.net.wire import TlsWire, Wire

IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)
STARTTLS = ListenerSpec("pop3", "127.0.0.1", 0, TlsMode.STARTTLS)
ADA = "ada@acme.example"
both_loops = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


@pytest.fixture
def client_ca() -> trustme.CA:
    """The authority of clients' certificates."""
    return trustme.CA()


@pytest.fixture
def asking(pairs: Path, client_ca: trustme.CA, tmp_path: Path) -> Stage:
    """A stage that asks clients for a certificate."""
    client_ca.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    return Stage(Certificates(pairs, ("pop3",), client_ca=tmp_path / "clients.pem"))


async def facts(stage: Stage, context: ssl.SSLContext, name: str = "pop.example") -> tuple[TlsFacts, TlsWire]:
    """What the server knows of a connection with `context`, and the client's end of it."""
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), context, name)
    await client.handshake()
    await client.line()
    known = stage.parrot.peer.tls
    assert known is not None
    return known, client


async def over(stage: Stage) -> None:
    stage.listener.end()
    await stage.listener.wait_closed()


@both_loops
@pytest.mark.parametrize("name", ["pop.example", "other.example", "unknown.example"])
async def test_a_connection_is_bound_to_the_certificate_that_the_client_saw(
    stage: Stage, pairs: Path, ca: trustme.CA, trusting: ssl.SSLContext, name: str
) -> None:
    write_pair(pairs, "other", ca, "other.example")
    await stage.certificates.reload()
    trusting.check_hostname = False
    known, client = await facts(stage, trusting, name)
    seen = client.tls.getpeercert(binary_form=True)
    assert seen is not None
    assert known.bindings["tls-server-end-point"] == hashlib.sha256(seen).digest()


@both_loops
async def test_within_tls_1_2_it_is_bound_to_the_handshake_too(stage: Stage, trusting: ssl.SSLContext) -> None:
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    known, client = await facts(stage, trusting)
    assert known.bindings["tls-unique"] == client.tls.get_channel_binding("tls-unique")


@both_loops
async def test_within_tls_1_3_there_is_no_tls_unique(stage: Stage, trusting: ssl.SSLContext) -> None:
    known, _ = await facts(stage, trusting)
    assert set(known.bindings) == {"tls-server-end-point"}


@both_loops
async def test_a_resumed_handshake_is_bound_to_nothing(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 7677 §4: without the extended master secret a resumed one could be bound to two connections by tls-unique.

    Nor is it known which certificate its client saw: that of its first handshake may have been replaced since.
    """
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    port = stage.start(IMPLICIT)
    first = TlsWire(await Wire.to(port), trusting, "pop.example")
    await first.handshake()
    await first.line()
    second = TlsWire(await Wire.to(port), trusting, "pop.example", first.tls.session)
    await second.handshake()
    await second.line()
    assert second.tls.session_reused
    known = stage.parrots[1].peer.tls
    assert known is not None
    assert known.bindings == {}


def certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, digest: object
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, digest)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_hash_is_that_of_the_certificate_s_signature(algorithm: hashes.HashAlgorithm) -> None:
    """RFC 5929 §4.1."""
    leaf = certificate(ec.generate_private_key(ec.SECP256R1()), algorithm)
    assert end_point(leaf) == hashlib.new(algorithm.name, leaf.public_bytes(Encoding.DER)).digest()


def test_a_signature_without_a_hash_binds_nothing() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) == b""


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_addresses_of_a_client_s_certificate_are_known(
    asking: Stage, client_ca: trustme.CA, trusting: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    trusting.maximum_version = version
    client_ca.issue_cert(ADA, "bob@acme.example", "host.example").configure_cert(trusting)
    known, _ = await facts(asking, trusting)
    assert known.certified == (ADA, "bob@acme.example")
    await over(asking)


@both_loops
async def test_a_client_need_not_have_a_certificate(asking: Stage, trusting: ssl.SSLContext) -> None:
    known, _ = await facts(asking, trusting)
    assert known.certified == ()
    await over(asking)


@both_loops
async def test_a_certificate_without_an_address_names_nobody(
    asking: Stage, client_ca: trustme.CA, trusting: ssl.SSLContext
) -> None:
    client_ca.issue_cert("host.example", common_name=ADA).configure_cert(trusting)
    known, _ = await facts(asking, trusting)
    assert known.certified == ()
    await over(asking)


@both_loops
@pytest.mark.parametrize("beside", [X400, EDI], ids=["x400Address", "ediPartyName"])
async def test_a_certificate_whose_names_can_t_be_read_names_nobody(
    asking: Stage, client_ca: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path, beside: bytes
) -> None:
    (tmp_path / "odd.pem").write_bytes(b"".join(odd(client_ca, mailbox(ADA), beside)))
    trusting.load_cert_chain(tmp_path / "odd.pem")
    known, _ = await facts(asking, trusting)
    assert known.certified == ()
    await over(asking)


@both_loops
async def test_nobody_is_asked_where_no_authorities_are_named(
    stage: Stage, client_ca: trustme.CA, trusting: ssl.SSLContext
) -> None:
    client_ca.issue_cert(ADA).configure_cert(trusting)
    known, _ = await facts(stage, trusting)
    assert known.certified == ()


@both_loops
@pytest.mark.parametrize("kind", ["another authority", "expired", "of the server's own authority"])
async def test_a_certificate_that_isn_t_good_ends_the_handshake(
    asking: Stage, client_ca: trustme.CA, ca: trustme.CA, trusting: ssl.SSLContext, kind: str
) -> None:
    issuer = {"another authority": trustme.CA(), "expired": client_ca}.get(kind, ca)
    ends = datetime.now(UTC) - timedelta(days=1) if kind == "expired" else None
    issuer.issue_cert(ADA, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=ends).configure_cert(trusting)
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    client = TlsWire(await Wire.to(asking.start(IMPLICIT)), trusting, "pop.example")
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        await client.handshake()
    await asking.rejected.wait()
    assert [why for why, _, _ in asking.rejections] == [Rejection.HANDSHAKE]
    await over(asking)


@both_loops
async def test_stls_asks_for_the_certificate_too(
    asking: Stage, client_ca: trustme.CA, trusting: ssl.SSLContext
) -> None:
    client_ca.issue_cert(ADA).configure_cert(trusting)
    wire = await Wire.to(asking.start(STARTTLS))
    await wire.line()
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake()
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"
    known = asking.parrot.peer.tls
    assert known is not None
    assert known.certified == (ADA,)
    assert "tls-server-end-point" in known.bindings
    await over(asking)


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_authorities_that_can_t_be_read_are_told_by_their_file(pairs: Path, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "clients.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OSError, match=r"authorities of client certificates.*clients\.pem"):
        Certificates(pairs, ("pop3",), client_ca=path)


@both_loops
async def test_other_authorities_are_taken_up_while_it_runs(
    asking: Stage, tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    new = trustme.CA()
    new.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    assert await asking.certificates.reload()
    new.issue_cert(ADA).configure_cert(trusting)
    known, _ = await facts(asking, trusting)
    assert known.certified == (ADA,)
    await over(asking)
