"""A client's certificate counts in the handshake that verified it, and in no session that is resumed from it.

RFC 8446 §4.6.1 (resumption), RFC 5280 §4.2.1.6 (the address). G11: what was withdrawn binds the next login.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from service.net.certificates import Certificates
from service.net.peer import TlsFacts
from service.net.tls import tls_facts

ADA = "ada@acme.example"


@dataclass
class Server:
    """A listener that asks for certificates of `authorities`, and what it saw of each handshake."""

    certificates: Certificates
    authorities: Path
    port: int = 0
    seen: "asyncio.Queue[TlsFacts | None]" = field(default_factory=asyncio.Queue)

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.put_nowait(tls_facts(writer.transport))
        writer.write(b"+")
        writer.close()


@asynccontextmanager
async def serving(folder: Path, ca: trustme.CA, clients: trustme.CA) -> AsyncIterator[Server]:
    pair, authorities = ca.issue_cert("localhost"), folder / "clients.pem"
    (folder / "pairs").mkdir()
    pair.private_key_pem.write_to_path(folder / "pairs" / "one.key")
    pair.cert_chain_pems[0].write_to_path(folder / "pairs" / "one.crt")
    clients.cert_pem.write_to_path(authorities)
    server = Server(Certificates(folder / "pairs", client_ca=authorities), authorities)
    async with await asyncio.start_server(server.meet, "127.0.0.1", 0, ssl=server.certificates.context()) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


async def shaken(server: Server, trust: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """The session of a handshake that resumes `session` if the server lets it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
    async with asyncio.timeout(30):
        while True:
            try:
                if client.read(1):
                    break
                # CPython 3.11.2 doesn't raise it itself, and would be asked forever.
                raise ssl.SSLEOFError("closed without a word")
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                if octets := await reader.read(65536):
                    incoming.write(octets)
                else:
                    incoming.write_eof()
    writer.close()
    return client.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_session_resumed_after_its_authority_was_withdrawn_proves_nobody(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    trust = ssl.create_default_context()
    ca.configure_trust(trust)
    ours.issue_cert(ADA).configure_cert(trust)
    trust.maximum_version = version
    async with serving(tmp_path, ca, ours) as server:
        session = await shaken(server, trust, None)
        first = await server.seen.get()
        others.cert_pem.write_to_path(server.authorities)
        assert await server.certificates.reload()
        bare = ssl.create_default_context()
        ca.configure_trust(bare)
        bare.maximum_version = version
        for context in (trust, bare):
            try:
                await shaken(server, context, session if context is trust else None)
            except ssl.SSLError:
                continue  # A full handshake, in which the certificate of another authority is refused.
            later = await server.seen.get()
            assert later is not None
            assert later.certified == ()
    assert first is not None
    assert first.certified == (ADA,)
