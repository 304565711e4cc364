"""Certificates, and a listener that runs for the length of a test."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from service.net.admission import Admission
from service.net.arrival import ListenerSpec, SetupSeconds
from service.net.certificates import Certificates
from service.net.handshakes import Handshakes
from service.net.listener import Listener, Reception, Rejection
from service.net.peer import Peer
from tests.net.parrot import Parrot

Rejections = list[tuple[Rejection, str, str]]


def write_pair(
    folder: Path,
    name: str,
    ca: trustme.CA,
    *names: str,
    days: int = 30,
    key_type: trustme.KeyType = trustme.KeyType.ECDSA,
    begins: datetime | None = None,
) -> None:
    """A chain and its key as NAME.crt and NAME.key."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = datetime.now(UTC) + timedelta(days=days)
    issued = ca.issue_cert(*names, not_before=begins, not_after=ends, key_type=key_type)
    (folder / f"{name}.key").write_bytes(issued.private_key_pem.bytes())
    (folder / f"{name}.crt").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))


@pytest.fixture
def pairs(tmp_path: Path, ca: trustme.CA) -> Path:
    """A directory with one pair, for pop.example and localhost."""
    write_pair(tmp_path / "pairs", "default", ca, "pop.example", "localhost")
    return tmp_path / "pairs"


@pytest.fixture
def certificates(pairs: Path) -> Certificates:
    return Certificates(pairs, alpn=("pop3",))


@pytest.fixture
def trusting(ca: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts the tests' authority."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


class Stage:
    """One listener with parrots behind it, and what it rejected."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        self.hatchery: type[Parrot] = Parrot
        self.parrots: list[Parrot] = []
        self.hatched = asyncio.Event()
        self.rejections: Rejections = []
        self.rejected = asyncio.Event()
        self.admission = Admission(1000)
        self.seconds = SetupSeconds()
        self.handshakes = Handshakes()
        self.handshake_seconds = 30.0
        self.listener: Listener

    def make(self, spec: ListenerSpec) -> Listener:
        reception = Reception(
            self._hatch,
            self.admission,
            self.certificates.context(),
            self.seconds,
            self._reject,
            self.handshakes,
        )
        self.listener = Listener(spec, reception)
        return self.listener

    def start(self, spec: ListenerSpec) -> int:
        return self.make(spec).start()

    @property
    def parrot(self) -> Parrot:
        assert len(self.parrots) == 1
        return self.parrots[0]

    def _reject(self, why: Rejection, address: str, detail: str) -> None:
        self.rejections.append((why, address, detail))
        self.rejected.set()

    def _hatch(self, peer: Peer) -> Parrot:
        self.hatched.set()
        self.parrots.append(self.hatchery(peer, self.certificates.context(), self.handshake_seconds))
        return self.parrots[-1]


@pytest_asyncio.fixture
async def stage(certificates: Certificates) -> AsyncIterator[Stage]:
    stage = Stage(certificates)
    yield stage
    if hasattr(stage, "listener"):
        stage.listener.end()
        await stage.listener.wait_closed()
