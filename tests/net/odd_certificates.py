"""Certificates that TLS takes as they are, and whose names the library for reading certificates refuses to tell."""

from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

X400 = b"\xa3\x02\x30\x00"
EDI = b"\xa5\x09\xa1\x07\x0c\x05party"


def odd(ca: trustme.CA, name: bytes, beside: bytes) -> tuple[bytes, bytes]:
    """A certificate by `ca` with `name` (a GeneralName in DER) and `beside` in its SAN, and its key, both in PEM."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    signing = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    names = name + beside
    alternatives = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes([0x30, len(names)]) + names)
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
    builder = x509.CertificateBuilder(
        issuer.subject, subject, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=30)
    )
    leaf = builder.add_extension(alternatives, critical=False).sign(signing, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return leaf.public_bytes(Encoding.PEM), private


def mailbox(address: str) -> bytes:
    """An rfc822Name as DER."""
    return bytes([0x81, len(address)]) + address.encode()


def host(name: str) -> bytes:
    """A dNSName as DER."""
    return bytes([0x82, len(name)]) + name.encode()
