"""Speaks to a running Poplar as a mail program, a mail server or a balancer's health check would.

Owns what is said and what counts as a failure. Refuses to read settings: what it looks at may be anywhere.
RFC 1939 §3 and §5, RFC 2449 §5 (CAPA), RFC 2595 §4 (STLS), RFC 2033 §4.1 (LHLO), RFC 3207 §4 (STARTTLS). Waits for each
answer at most so many seconds as its target says.
"""

import poplib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Literal

from service.protocol.proxy_sending import version_2

Tls = Literal["none", "starttls", "implicit", "terminated"]
ANY_NAME = "*"
OUR_NAME = "probe.invalid"
UNSAID_PORT = 49152
"""The client's port in a PROXY header whose client is made up."""


class ProbeFailed(Exception):
    """What was probed doesn't do what it should; the text says what."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to connect to, and how."""

    host: str
    port: int
    tls: Tls = "none"
    """terminated: as a balancer would that has ended the client's TLS."""
    proxy_from: str | None = None
    """The client's address in the PROXY header to begin with; None sends no header."""
    ca: Path | None = None
    """Certificates to trust instead of the machine's."""
    server_name: str = ""
    """The name that the certificate must hold; empty: the host; ANY_NAME takes any certificate."""
    seconds: float = 10.0


def probe_pop3(target: Target, login: tuple[str, str] | None) -> Iterator[str]:
    """Greeting, CAPA, with `login` a login and STAT, QUIT: a line for each. Raises ProbeFailed, OSError."""
    with _failing():
        client = _Pop3(target)
        with closing(client):
            yield f"greeting: {_text(client.getwelcome())}"
            if target.tls == "starttls":
                client.stls(_context(target))
                yield "STLS: done"
            yield f"CAPA: {' '.join(sorted(client.capa()))}"
            if login:
                yield from _logged_in(client, *login)
            yield f"QUIT: {_text(client.quit())}"


def _logged_in(client: poplib.POP3, name: str, password: str) -> Iterator[str]:
    client.user(name)
    yield f"login: {_text(client.pass_(password))}"
    messages, octets = client.stat()
    yield f"STAT: {messages} messages, {octets} octets"


def probe_lmtp(target: Target) -> Iterator[str]:
    """Greeting, LHLO, QUIT: a line for each. Raises ProbeFailed, OSError."""
    with _failing():
        client = _Lmtp(target)
        with closing(client):
            yield f"greeting: {_good(client.connect(target.host, target.port))}"
            if target.tls == "starttls":
                yield f"STARTTLS: {_good(client.starttls(context=_context(target)))}"
            yield f"LHLO: {_good(client.ehlo()).splitlines()[0]}"
            yield f"QUIT: {_good(client.quit())}"


def probe_http(host: str, port: int, path: str, seconds: float = 3.0) -> str:
    """What `path` on the ops port says. Raises ProbeFailed for a status other than 200, OSError."""
    connection = HTTPConnection(host, port, timeout=seconds)
    with closing(connection), _failing():
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    if answer.status != 200:
        raise ProbeFailed(f"{path}: {answer.status} {text}")
    return text


class _Pop3(poplib.POP3):
    """poplib's client, with a PROXY header and TLS in front of it if they are asked for."""

    def __init__(self, target: Target) -> None:
        self._target = target
        super().__init__(target.host, target.port, target.seconds)
        # What STLS compares with the certificate.
        self.host = _name(target)

    def _create_socket(self, timeout: float) -> socket.socket:
        return _connected(self._target, timeout)

    def close(self) -> None:
        """Hang up; a connection that is gone already, as after a failed handshake of STLS, hides no earlier error."""
        with suppress(OSError):
            super().close()


class _Lmtp(smtplib.LMTP):
    """smtplib's client, with the same in front of it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        super().__init__(local_hostname=OUR_NAME)
        self.timeout = target.seconds
        # What STARTTLS compares with the certificate.
        self._host = _name(target)

    def _get_socket(self, _host: str, _port: int, timeout: float) -> socket.socket:
        return _connected(self._target, timeout)


def _connected(target: Target, timeout: float) -> socket.socket:
    connection = socket.create_connection((target.host, target.port), timeout)
    if target.proxy_from:
        told = "TLSv1.3" if target.tls == "terminated" else ""
        connection.sendall(version_2((target.proxy_from, UNSAID_PORT), connection.getpeername()[:2], told))
    if target.tls == "implicit":
        return _context(target).wrap_socket(connection, server_hostname=_name(target))
    return connection


def _name(target: Target) -> str:
    return target.host if target.server_name in {"", ANY_NAME} else target.server_name


def _context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.ca)
    if target.server_name == ANY_NAME:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (poplib.error_proto, smtplib.SMTPException, HTTPException) as error:
        told = error.args[0] if error.args else type(error).__name__
        raise ProbeFailed(_text(told) if isinstance(told, bytes) else str(told)) from error


def _good(reply: tuple[int, bytes]) -> str:
    code, text = reply
    if code // 100 != 2:
        raise ProbeFailed(f"{code} {_text(text)}")
    return f"{code} {_text(text)}"


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
