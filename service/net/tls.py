"""TLS on one transport: the context's rules, what was negotiated, and the step up from clear.

Owns the policy (TLS 1.2 or newer, forward secrecy) and the conditions of STLS and STARTTLS.
Refuses to know certificates, which `certificates` keeps, and the words that lead up to a handshake.
RFC 2595 §4, RFC 8314 §3.4, RFC 8997 §3, RFC 7301 §3.2.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from service.net.peer import TlsFacts
from service.net.tls_identity import Handshake, bindings, certified
from service.net.tls_opening import InTurn, Opening, at_once

HANDSHAKE_SECONDS = 30.0
# RFC 8314 §3.4: "When a client or server wishes to close the connection, it SHOULD initiate the exchange of
# TLS close alerts before TCP connection termination." `SecuredTransport.close` does so.
SHUTDOWN_SECONDS = 5.0
"""How long a close waits for the client's close_notify after sending ours."""

# CBC with SHA-2 stays for the mail programs of Windows 7 and 8, which know no GCM with an RSA certificate.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM"


def server_context(alpn: tuple[str, ...], client_ca: Path | None = None) -> ssl.SSLContext:
    """A context with Poplar's rules and no certificate yet, that picks one of `alpn` if the client offers it.

    Where `client_ca`, a PEM file of authorities, is given, clients are asked for a certificate. They need not have one.
    Raises OSError when it can't be read (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Handshake
    # RFC 8997 §3: "MSPs currently supporting [...] TLS 1.0, or TLS 1.1 SHOULD transition their users to
    # TLS 1.2 or later and discontinue support for those earlier versions of SSL and TLS."
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # RFC 8446 §4.6.1: "the server MAY send a NewSessionTicket message." A handshake that resumes and is given the next
    # ticket costs the server as much as a whole one without; one whose ticket another process gave costs a fifth more.
    context.num_tickets = 0
    if client_ca is not None:
        _trust_clients(context, client_ca)
    if alpn:
        # RFC 7301 §3.2: "In the event that the server supports no protocols that the client advertises, then the
        # server SHALL respond with a fatal "no_application_protocol" alert."
        # Deviates: Python's ssl module can't send it and goes on without ALPN; another protocol's first
        # line closes the connection all the same.
        context.set_alpn_protocols(list(alpn))
    return context


def _trust_clients(context: ssl.SSLContext, client_ca: Path) -> None:
    """Ask clients for a certificate of these authorities. Raises OSError that names the file."""
    try:
        context.load_verify_locations(cafile=client_ca)
    except OSError as error:
        raise OSError(error.errno, f"authorities of client certificates: {error.strerror}", str(client_ca)) from error
    context.verify_mode = ssl.CERT_OPTIONAL
    # A resumed session brings the certificate of its first handshake, whatever has become of its authority. So none is
    # given out; the ones that TLS 1.2 keeps by id can't be switched off from here, and prove nobody (tls_identity).
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def tls_facts(transport: asyncio.BaseTransport) -> TlsFacts | None:
    """What was negotiated on `transport`; None if it is in clear. To be asked in `connection_made`."""
    handshake: Handshake | None = transport.get_extra_info("ssl_object")
    if handshake is None:
        return None
    cipher, version = handshake.cipher(), handshake.version() or ""
    bound = bindings(handshake, version)
    return TlsFacts(version, cipher[0] if cipher else "", handshake.server_name, bound, certified(handshake))


def may_be_half_closed(transport: asyncio.BaseTransport | None) -> bool:
    """Whether what was asked can still be answered after the client's last octet: not in TLS."""
    return transport is not None and transport.get_extra_info("ssl_object") is None


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext,
    in_turn: InTurn = at_once,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> asyncio.Transport:
    """Step up to TLS; the new transport, which reads already. `connection_made` is not called again.

    The caller, within the `data_received` that brought the command: threw away whatever followed it, paused
    reading, and then wrote its +OK or 220. So octets sent in clear after the command stay in the kernel, go into
    the handshake and break it: none is ever run as a command (G12). All three matter.

    `protocol` hears nothing until the caller has the new transport, so that no response to a hasty client's first
    encrypted command goes out on the old one, in clear.

    Raises OSError when the handshake fails or takes too long. However it ends, cancelled too, `connection_lost` is
    called once in the end, as for any connection.
    """
    loop = asyncio.get_running_loop()
    gate = _Gate(protocol)
    opening = Opening(gate, context, in_turn, SHUTDOWN_SECONDS)
    opening.connection_made(transport)
    transport.set_protocol(opening)
    # RFC 2595 §4: "The STLS command is only permitted in AUTHORIZATION state and the server remains in
    # AUTHORIZATION state, even if client credentials are supplied during the TLS negotiation."
    transport.resume_reading()
    try:
        await opening.done(handshake_seconds)
    except BaseException as error:
        if not isinstance(error, OSError):
            # One that failed is closed already.
            opening.abort()
        loop.call_soon(protocol.connection_lost, error if isinstance(error, OSError) else None)
        raise
    # Called after the caller's next step, which takes the new transport.
    loop.call_soon(gate.open)
    return gate.secured


class _Gate(asyncio.Protocol):
    """Keeps what arrives for `protocol`, in order, until it is opened."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self._kept: list[Callable[[], object]] = []
        self._opened = False
        self.secured: asyncio.Transport
        """There once the handshake is over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.secured = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._pass(partial(self._protocol.data_received, data))

    def eof_received(self) -> None:
        self._pass(self._protocol.eof_received)

    def pause_writing(self) -> None:
        self._pass(self._protocol.pause_writing)

    def resume_writing(self) -> None:
        self._pass(self._protocol.resume_writing)

    def connection_lost(self, exc: Exception | None) -> None:
        # asyncio may have scheduled this call, to the gate, before the gate was opened.
        self._pass(partial(self._protocol.connection_lost, exc))

    def open(self) -> None:
        """Let the protocol have the transport to itself, after what was kept."""
        self._opened = True
        self.secured.set_protocol(self._protocol)
        for call in self._kept:
            call()

    def _pass(self, call: Callable[[], object]) -> None:
        if self._opened:
            call()
        else:
            self._kept.append(call)
