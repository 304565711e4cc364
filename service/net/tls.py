"""TLS on one transport: the context's rules, what was negotiated, and the step up from clear.

Owns the policy (TLS 1.2 or newer, forward secrecy) and the conditions of STLS and STARTTLS.
Refuses to know certificates, which `certificates` keeps, and the words that lead up to a handshake.
RFC 2595 §4, RFC 8314 §3.4, RFC 8997 §3, RFC 7301 §3.2.
"""

import asyncio
import ssl
from weakref import WeakKeyDictionary

from service.net.peer import TlsFacts

HANDSHAKE_SECONDS = 30.0
# RFC 8314 §3.4: "When a client or server wishes to close the connection, it SHOULD initiate the exchange of
# TLS close alerts before TCP connection termination." Both event loops do so in `transport.close()`.
SHUTDOWN_SECONDS = 5.0
"""How long a close waits for the client's close_notify after sending ours."""

# CBC with SHA-2 stays for the mail programs of Windows 7 and 8, which know no GCM with an RSA certificate.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM"

_Handshake = ssl.SSLObject | ssl.SSLSocket
_server_names: WeakKeyDictionary[_Handshake, str] = WeakKeyDictionary()


def server_context(alpn: tuple[str, ...]) -> ssl.SSLContext:
    """A context with Poplar's rules and no certificate yet, that picks one of `alpn` if the client offers it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8997 §3: "MSPs currently supporting [...] TLS 1.0, or TLS 1.1 SHOULD transition their users to
    # TLS 1.2 or later and discontinue support for those earlier versions of SSL and TLS."
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if alpn:
        # RFC 7301 §3.2: "In the event that the server supports no protocols that the client advertises, then the
        # server SHALL respond with a fatal "no_application_protocol" alert."
        # Deviates: Python's ssl module can't send it and goes on without ALPN; another protocol's first
        # line closes the connection all the same.
        context.set_alpn_protocols(list(alpn))
    return context


def remember_server_name(handshake: _Handshake, name: str | None) -> None:
    """Keep the SNI name of a handshake under way for `tls_facts`: the ssl module forgets it."""
    if name:
        _server_names[handshake] = name


def tls_facts(transport: asyncio.BaseTransport) -> TlsFacts | None:
    """What was negotiated on `transport`; None if it is in clear. To be asked in `connection_made`."""
    handshake: _Handshake | None = transport.get_extra_info("ssl_object")
    if handshake is None:
        return None
    cipher = handshake.cipher()
    return TlsFacts(handshake.version() or "", cipher[0] if cipher else "", _server_names.get(handshake))


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> asyncio.Transport:
    """Step up to TLS; the new transport, which reads already. `connection_made` is not called again.

    The caller, within the `data_received` that brought the command: threw away whatever followed it, paused
    reading, and then wrote its +OK or 220. So octets sent in clear after the command stay in the kernel, go into
    the handshake and break it: none is ever run as a command (G12). All three matter.

    Raises OSError when the handshake fails or takes too long. The connection is dead then, and the event loop
    may have called `connection_lost` or not: the caller treats it as lost, and a second call is harmless.
    """
    # RFC 2595 §4: "The STLS command is only permitted in AUTHORIZATION state and the server remains in
    # AUTHORIZATION state, even if client credentials are supplied during the TLS negotiation."
    secured = await asyncio.get_running_loop().start_tls(
        transport,
        protocol,
        context,
        server_side=True,
        ssl_handshake_timeout=handshake_seconds,
        ssl_shutdown_timeout=SHUTDOWN_SECONDS,
    )
    if secured is None:
        raise ConnectionAbortedError("the client left during the handshake")
    return secured
