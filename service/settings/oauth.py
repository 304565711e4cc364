"""Logins by tokens (OAUTHBEARER, XOAUTH2): how issuers are reached and what clients are told.

Owns what holds for all tenants; which issuers a tenant trusts stands in the database. Refuses to know any issuer.
RFC 7628 §3.1 (host, port) and §3.2.2 (scope, openid-configuration).
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from service.settings.section import Count, Port, Seconds, Section


class OAuthSettings(Section):
    """Tokens of tenants' issuers; offered to clients as soon as one tenant trusts one."""

    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,255}$")], ...] = ()
    """Names of this service: a client that means another host is refused; none go by the name asked for in TLS."""
    ports: tuple[Port, ...] = ()
    """Ports that clients connect to: one that means another is refused; none believe any."""
    scope: Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]{0,500}$")] = ""
    """What clients are told that a token must be good for."""
    openid_configuration: Annotated[str, Field(pattern=r"^(https://[\x21-\x7e]{1,1000})?$")] = ""
    """URL of an OpenID configuration that clients are told; the same for all tenants, so that it tells of none."""
    leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Seconds by which an issuer's clock may differ from the database's, by which tokens are judged."""
    remember_seconds: Annotated[float, Field(ge=0, le=600)] = 60.0
    """Seconds for which a good token isn't checked again, never past its end; 0 checks it at each login."""
    remember_entries: Count = 16_384
    """Good tokens that one process remembers, as keyed hashes."""
    deadline: Seconds = 5.0
    """Seconds that one request to an issuer may take."""
    keys_seconds: Seconds = 600.0
    """Seconds for which an issuer's keys are used without asking for newer ones; an unknown key asks at once."""
    ca_file: Path | None = None
    """PEM file of authorities that issuers' certificates may be of, besides those of the system."""
    plain_loopback: bool = False
    """Whether an issuer on this very machine may be reached without TLS; meant for tests."""
