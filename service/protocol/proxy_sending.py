"""The PROXY protocol header, version 2, as a balancer sends it: who the client is, and its TLS if it had any.

Owns the octets of a header that `proxy` reads back. Refuses to know who sends it and why.
Specification: "The PROXY protocol", versions 1 & 2, HAProxy (§2.2), quoted as PROXY §x.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack

from service.protocol.proxy import V2_SIGNATURE

_PROXY, _TCP4, _TCP6 = 0x21, 0x11, 0x21
_SSL, _SSL_VERSION = 0x20, 0x21
_CLIENT_SSL, _NOT_VERIFIED = 0x01, 1

Endpoint = tuple[str, int]


def version_2(source: Endpoint, destination: Endpoint, tls_version: str = "") -> bytes:
    """The header of a TCP connection; with `tls_version`, such as TLSv1.3, of one that came to the sender by TLS.

    A destination of another family than the source's is sent as the unspecified address of that family.
    Raises ValueError for an address that is none.
    """
    client = ip_address(source[0])
    addresses = client.packed + _of_family(client, destination[0]).packed + pack("!HH", source[1], destination[1])
    body = addresses + (_ssl(tls_version) if tls_version else b"")
    return V2_SIGNATURE + pack("!BBH", _PROXY, _TCP4 if client.version == 4 else _TCP6, len(body)) + body


def _of_family(client: IPv4Address | IPv6Address, address: str) -> IPv4Address | IPv6Address:
    other = ip_address(address)
    return other if other.version == client.version else type(client)(0)


def _ssl(version: str) -> bytes:
    # PROXY §2.2.6: "The <verify> field will be zero if the client presented a certificate and it was successfully
    # verified, and non-zero otherwise."
    return _tlv(_SSL, pack("!BI", _CLIENT_SSL, _NOT_VERIFIED) + _tlv(_SSL_VERSION, version.encode("ascii")))


def _tlv(kind: int, value: bytes) -> bytes:
    return pack("!BH", kind, len(value)) + value
