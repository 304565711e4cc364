"""Settings over real systems: a migrated Postgres, Valkey, a directory of blobs, a certificate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.app.provisioning import provisioning
from service.settings import Settings

ADDRESS = "anna@orchard.example"
PASSWORD = "correct horse"

Values = dict[str, Any]
Make = Callable[..., Settings]


def write_pair(folder: Path, name: str, certificate: trustme.LeafCert) -> None:
    """Put a certificate and its key where Poplar looks for them."""
    folder.mkdir(exist_ok=True)
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / f"{name}.crt", append=number > 0)


def listener(name: str, tls: str = "none", **more: object) -> Values:
    """A listener on a free port of the loopback."""
    protocol = "lmtp" if name == "lmtp" else "pop3"
    return {"name": name, "protocol": protocol, "host": "127.0.0.1", "port": 0, "tls": tls} | more


@pytest.fixture
def values(migrated_dsn: str, redis_url: str, ca: trustme.CA, tmp_path: Path) -> Values:
    """Settings under which everything works."""
    write_pair(tmp_path / "tls", "main", ca.issue_cert("127.0.0.1", "localhost"))
    return {
        "hostname": "mail.orchard.example",
        "database": {"url": migrated_dsn},
        "redis": {"url": redis_url, "lease_seconds": 2.0, "renew_every": 0.2},
        "object_store": {"url": (tmp_path / "blobs").as_uri()},
        "tls": {"directory": str(tmp_path / "tls")},
        "http": {"host": "127.0.0.1", "port": 0},
        "listeners": [listener("pop3", "starttls"), listener("pop3s", "implicit"), listener("lmtp")],
        "drain": {"grace": 5.0},
        "pop3": {"failure_delay": 0.0},
    }


@pytest.fixture
def make(values: Values) -> Make:
    """Makes settings: those under which everything works, with whole sections replaced."""
    return lambda **sections: Settings.model_validate(values | sections)


async def provide(settings: Settings) -> None:
    """A tenant with one maildrop."""
    async with provisioning(settings, "test") as desk:
        await desk.tenants.create("orchard")
        await desk.domains.create("orchard", "orchard.example")
        await desk.maildrops.create(ADDRESS)
        await desk.credentials.create(ADDRESS, await desk.passwords.credential(PASSWORD))
