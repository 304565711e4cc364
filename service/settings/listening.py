"""Where Poplar listens, and what each listener demands.

Owns ports, TLS modes and the networks whose PROXY header is believed. Refuses to open a socket.
RFC 1939 §3 (port 110), RFC 8314 §3.1 (995, implicit TLS), RFC 2033 §1 (LMTP never on 25).
"""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from service.settings.section import Port, Seconds, Section

Network = IPv4Network | IPv6Network


class ListenerSettings(Section):
    """One port."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """What metrics and logs call it: lower-case letters, digits and hyphens."""
    protocol: Literal["pop3", "lmtp"]
    """What is spoken: pop3 or lmtp."""
    host: Annotated[str, Field(min_length=1)] = "*"
    """Address to listen on; * for every IPv4 and IPv6 address of this machine."""
    port: Port
    """TCP port; 0 for a free one."""
    tls: Literal["none", "starttls", "implicit", "terminated"] = "none"
    """none; starttls (STLS); implicit (TLS first); terminated (a balancer in front has decrypted already)."""
    proxy_protocol: Literal["off", "required"] = "off"
    """required: every connection must begin with a PROXY v1 or v2 header from a trusted network."""
    trusted: tuple[Network, ...] = ()
    """Networks (CIDR) whose PROXY header is believed."""

    @field_validator("proxy_protocol", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML 1.1 reads a bare `off` as false.
        return "off" if value is False else value

    @field_validator("trusted")
    @classmethod
    def _not_everybody(cls, value: tuple[Network, ...]) -> tuple[Network, ...]:
        if any(network.prefixlen == 0 for network in value):
            raise ValueError("must not contain a network of every address: anybody could then claim any address")
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> "ListenerSettings":
        if self.proxy_protocol == "required" and not self.trusted:
            raise ValueError("trusted must name the balancer's networks when proxy_protocol is required")
        if self.proxy_protocol == "off" and self.trusted:
            raise ValueError("trusted has no effect while proxy_protocol is off")
        # RFC 2033 §1: "LMTP should be used only by specific prior arrangement and configuration, and it
        # MUST NOT be used on TCP port 25."
        if self.protocol == "lmtp" and self.port == 25:
            raise ValueError("lmtp must not listen on port 25 (RFC 2033 §1)")
        return self

    @property
    def needs_certificate(self) -> bool:
        """Whether TLS happens here."""
        return self.tls in {"starttls", "implicit"}


class TlsSettings(Section):
    """Certificates."""

    directory: Path = Path("/etc/poplar/tls")
    """Directory of certificates: NAME.crt or NAME.pem with NAME.key, or folders with tls.crt and tls.key."""
    client_ca: Path | None = None
    """PEM file of authorities: POP3 clients are asked for a certificate of theirs, with which AUTH EXTERNAL logs in."""
    watch_every: Seconds = 15.0
    """Seconds between two looks for changed files."""


class HttpSettings(Section):
    """Metrics, health and, where `poplar api` runs, the HTTP API."""

    host: Annotated[str, Field(min_length=1)] = "*"
    """Address to listen on; * for every IPv4 and IPv6 address of this machine."""
    port: Port = 8080
    """TCP port of /metrics, /livez, /readyz and /v1; 0 for a free one."""


DEFAULT_LISTENERS = (
    ListenerSettings(name="pop3", protocol="pop3", port=110, tls="starttls"),
    ListenerSettings(name="pop3s", protocol="pop3", port=995, tls="implicit"),
    ListenerSettings(name="lmtp", protocol="lmtp", host="127.0.0.1", port=24),
)
