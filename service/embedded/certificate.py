"""A certificate authority and a server certificate for this machine alone.

Owns the files and when they are made anew; refuses to know who serves with them.
The names are those by which a program on this machine reaches the demo (RFC 6125 §6.4).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

NAMES = ("localhost", "127.0.0.1", "::1")
_LEAST_VALID = timedelta(days=30)
# Apple's programs trust no server certificate that is valid for more than 825 days.
_VALID = timedelta(days=800)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where clients find the authority to trust, and the folder of the server's pairs."""

    ca_file: Path
    folder: Path


def certificate_files(state: Path) -> CertificateFiles:
    """The files below `state`, made when they are missing or expire within 30 days."""
    files = CertificateFiles(state.resolve() / "ca.pem", state.resolve() / "certificates")
    if not _usable(files):
        _make(files)
    return files


def _usable(files: CertificateFiles) -> bool:
    """The authority's file is written last: where it is, the others are."""
    pair = files.folder / "default.crt"
    if not (files.ca_file.exists() and pair.exists()):
        return False
    ends = x509.load_pem_x509_certificate(pair.read_bytes()).not_valid_after_utc
    return ends - datetime.now(UTC) > _LEAST_VALID


def _make(files: CertificateFiles) -> None:
    authority = trustme.CA(organization_name="Poplar demo", organization_unit_name="For this machine only")
    # The authority's key is never stored: whoever trusts it trusts nothing but this one certificate.
    pair = _issued(authority, datetime.now(UTC))
    files.folder.mkdir(parents=True, exist_ok=True)
    files.ca_file.unlink(missing_ok=True)
    key = files.folder / "default.key"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    pair.private_key_pem.write_to_path(key)
    chain = b"".join(blob.bytes() for blob in pair.cert_chain_pems)
    (files.folder / "default.crt").write_bytes(chain)
    authority.cert_pem.write_to_path(files.ca_file)


def _issued(authority: trustme.CA, now: datetime) -> trustme.LeafCert:
    return authority.issue_cert(
        *NAMES,
        # fetchmail wants one, though the names that count are the others.
        common_name=NAMES[0],
        organization_name="Poplar demo",
        organization_unit_name="Server",
        not_before=now - timedelta(days=1),
        not_after=now + _VALID,
    )
