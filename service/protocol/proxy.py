"""The PROXY protocol header, versions 1 and 2: octets in, a `Proxied` out.

Owns the grammar: where a header ends, what each field may hold, the CRC32C. Refuses to know who may
send one: trust is the listener's. Strict, because what it says becomes the client's address in limits
and logs: whatever the specification doesn't allow is a `ProxyError`.
Specification: "The PROXY protocol", versions 1 & 2, HAProxy (§2.1, §2.2), quoted as PROXY §x.
"""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import NamedTuple

from service.protocol.crc32c import crc32c

V1_START = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_OCTETS = 16
V1_MAX_OCTETS = 107
REMEMBERED, REMEMBERED_OCTETS = 256, 256
"""Of so many headers it is remembered what their TLVs say, where those are no longer than this."""

_V2_FIXED = Struct("!12sBBH")
_TLV = Struct("!BH")
_SSL = Struct("!BI")
_Kind = type[IPv4Address] | type[IPv6Address]
_LINE_FAMILIES: dict[bytes, _Kind] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_LOCAL, _FORWARDED = 0x20, 0x21
_TCP: dict[bytes, tuple[Struct, _Kind]] = {
    V2_SIGNATURE + b"\x21\x11": (Struct("!14xH4s4xHxx"), IPv4Address),
    V2_SIGNATURE + b"\x21\x21": (Struct("!14xH16s16xHxx"), IPv6Address),
}
"""By its first octets, the header of a TCP connection up to its TLVs: its length, the source's address and port."""
_ADDRESS_OCTETS = (0, 12, 36, 216)
"""How long the address block of each family is: unspecified, IPv4, IPv6, UNIX."""
_ALPN, _AUTHORITY, _CRC32C, _UNIQUE_ID, _SSL_TYPE = 0x01, 0x02, 0x03, 0x05, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23
_CLIENT_SSL, _CLIENT_CERTIFICATE = 0x01, 0x02 | 0x04


class ProxyError(ValueError):
    """The octets are no PROXY header; the connection is to be closed without an answer."""


class ProxyTls(NamedTuple):
    """What the sender says of the client's TLS; an empty text was not said."""

    version: str = ""
    cipher: str = ""
    common_name: str = ""
    """Of the client's certificate, if it showed one; not necessarily verified: see `verified`."""
    verified: bool = False


class Told(NamedTuple):
    """What a header's TLVs say: one value for all headers of which they are the same."""

    tls: ProxyTls | None = None
    cleartext: bool = False
    """The sender says that the client's way to it was not encrypted."""
    alpn: bytes = b""
    authority: str = ""
    unique_id: bytes = b""


_NOTHING = Told()


class Proxied(NamedTuple):
    """What one header says. `source` is None when the socket's own peer is the address: LOCAL, no TCP."""

    source: tuple[str, int] | None = None
    told: Told = _NOTHING


def octets_wanted(head: bytes) -> int:
    """How many octets to read next: never past the header's end, and 0 when `head` is a whole header.

    Raises ProxyError as soon as `head` can't begin one.
    """
    if head.startswith(V1_START):
        return _v1_wanted(head)
    if V2_SIGNATURE.startswith(head[:12]) or V1_START.startswith(head):
        return _v2_wanted(head)
    raise ProxyError("neither a PROXY line nor the version 2 signature")


def _v1_wanted(head: bytes) -> int:
    # PROXY §2.1: "If the CRLF sequence is not found in the first 107 characters, the receiver should
    # declare the line invalid."
    if len(head) > V1_MAX_OCTETS or (len(head) == V1_MAX_OCTETS and not head.endswith(b"\r\n")):
        raise ProxyError("the PROXY line has no end")
    if head.endswith(b"\r\n"):
        return 0
    return max(12 - len(head), 1)


def _v2_wanted(head: bytes) -> int:
    if len(head) < V2_FIXED_OCTETS:
        return (12 if len(head) < 12 else V2_FIXED_OCTETS) - len(head)
    return V2_FIXED_OCTETS + int.from_bytes(head[14:16], "big") - len(head)


def at_start(head: bytes) -> tuple[Proxied, int] | None:
    """What the header at the start of `head` says, and its octets; None where not all of it is there, or none can be.

    Raises ProxyError when it is malformed.
    """
    tcp = _TCP.get(head[:14])
    if tcp is not None:
        layout, kind = tcp
        if len(head) >= layout.size:
            rest, source, port = layout.unpack_from(head)
            octets = V2_FIXED_OCTETS + rest
            if layout.size <= octets <= len(head):
                address = "{}.{}.{}.{}".format(*source) if kind is IPv4Address else _plain(kind(source))
                return _with_tlvs(head[:octets], (address, port), layout.size), octets
    octets = _whole_octets(head)
    return (_parse_other(head[:octets]), octets) if octets else None


def _whole_octets(head: bytes) -> int:
    """How many octets the header at the start of `head` has; 0 where not all of it is there, or none can be."""
    if head.startswith(V2_SIGNATURE) and len(head) >= V2_FIXED_OCTETS:
        octets = V2_FIXED_OCTETS + _V2_FIXED.unpack_from(head)[3]
    elif head.startswith(V1_START):
        octets = head.find(b"\r\n", 0, V1_MAX_OCTETS) + 2
    else:
        return 0
    return octets if 2 <= octets <= len(head) else 0


def parse(header: bytes) -> Proxied:
    """What the whole `header` says. Raises ProxyError when it is malformed, cut short or followed by more."""
    found = at_start(header)
    if found is None or found[1] != len(header):
        raise ProxyError("not exactly one header")
    return found[0]


def _parse_v1(header: bytes) -> Proxied:
    family, *fields = header[len(V1_START) : -2].split(b" ")
    # PROXY §2.1: "the receiver must ignore anything presented before the CRLF is found"
    if family == b"UNKNOWN":
        return Proxied()
    kind = _LINE_FAMILIES.get(family)
    if kind is None or len(fields) != 4:
        raise ProxyError("the PROXY line has a wrong family or number of fields")
    source, _ = _v1_address(kind, fields[0]), _v1_address(kind, fields[1])
    port, _ = _v1_port(fields[2]), _v1_port(fields[3])
    return Proxied((source, port))


def _v1_address(kind: _Kind, field: bytes) -> str:
    try:
        text = field.decode("ascii")
        address = kind(text)
    except ValueError as error:
        raise ProxyError("not an address of the stated family") from error
    if "%" in text:
        raise ProxyError("an address with a zone")
    return _plain(address)


def _v1_port(field: bytes) -> int:
    # PROXY §2.1: "a decimal integer in the range [0..65535] inclusive. Heading zeroes are not permitted
    # in front of numbers"
    if not field.isdigit() or len(field) > 5 or (field[:1] == b"0" and field != b"0"):
        raise ProxyError("not a port")
    port = int(field)
    if port > 65535:
        raise ProxyError("not a port")
    return port


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def plain_address(text: str) -> str:
    """The address in `text` in its one usual form: an IPv4 address mapped into IPv6 is the IPv4 address."""
    return _plain(ip_address(text))


def _parse_other(header: bytes) -> Proxied:
    """What a whole header says that is of version 1, or gives no address we take: it forwards nothing, or no TCP."""
    if header.startswith(V1_START):
        return _parse_v1(header)
    _, version_command, family_transport, _ = _V2_FIXED.unpack_from(header)
    if version_command == _FORWARDED:
        return _without_address(header, family_transport >> 4, family_transport & 0x0F)
    if version_command >> 4 != 2:
        raise ProxyError("not version 2")
    # PROXY §2.2: "Receivers must drop connections presenting unexpected values here."
    if version_command != _LOCAL:
        raise ProxyError("unknown command")
    # PROXY §2.2: "The receiver must accept this connection as valid and must use the real connection
    # endpoints and discard the protocol block including the family which is ignored."
    return Proxied()


def _without_address(header: bytes, family: int, transport: int) -> Proxied:
    # PROXY §2.2: "other values are unspecified and must not be emitted in version 2 of this
    # protocol and must be rejected as invalid by receivers."
    if family > 3 or transport > 2:
        raise ProxyError("unknown family or transport")
    # PROXY §2.2: "A receiver is not required to implement other ones, provided that it automatically
    # falls back to the UNSPEC mode for the valid combinations above that it does not support."
    # PROXY §2.2: "The receiver should ignore address information." Its TLVs still count: they may say clear text.
    start = V2_FIXED_OCTETS + _ADDRESS_OCTETS[family]
    if len(header) < start:
        raise ProxyError("the addresses are cut short")
    return _with_tlvs(header, None, start)


def _with_tlvs(header: bytes, source: tuple[str, int] | None, start: int) -> Proxied:
    rest = header[start:]
    told, checksum = _told(rest) if len(rest) <= REMEMBERED_OCTETS else _told.__wrapped__(rest)
    if checksum is not None:
        at, value = checksum
        _check(header, start + at, value)
    return Proxied(source, told)


@lru_cache(REMEMBERED)
def _told(octets: bytes) -> tuple[Told, tuple[int, bytes] | None]:
    """What a header's TLVs say, and where in them its checksum stands, which is none of what they say.

    A balancer's are the same for most of its clients.
    """
    values: dict[int, bytes] = {}
    checksum: tuple[int, bytes] | None = None
    for kind, start, value in _tlvs(octets, 0):
        if kind in values and kind in (_CRC32C, _SSL_TYPE):
            raise ProxyError("a TLV that may stand once stands twice")
        if kind == _CRC32C:
            checksum = start, value
        values[kind] = value
    # PROXY §2.2.5: "an opaque byte sequence of up to 128 bytes"
    if len(values.get(_UNIQUE_ID, b"")) > 128:
        raise ProxyError("the unique id is too long")
    tls, cleartext = _parse_ssl(values[_SSL_TYPE]) if _SSL_TYPE in values else (None, False)
    authority = _text(values.get(_AUTHORITY, b""))
    return Told(tls, cleartext, values.get(_ALPN, b""), authority, values.get(_UNIQUE_ID, b"")), checksum


def _tlvs(octets: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Each TLV as its type, where its value starts, and the value."""
    while start < len(octets):
        if start + _TLV.size > len(octets):
            raise ProxyError("a TLV is cut short")
        kind, many = _TLV.unpack_from(octets, start)
        start += _TLV.size
        if start + many > len(octets):
            raise ProxyError("a TLV is longer than the header")
        yield kind, start, octets[start : start + many]
        start += many


def _check(header: bytes, start: int, value: bytes) -> None:
    # PROXY §2.2.3: "replace the 32 bits of the checksum field in the received PROXY header with
    # all '0's and calculate a CRC32c checksum value of the whole PROXY header."
    zeroed = header[:start] + bytes(len(value)) + header[start + len(value) :]
    # PROXY §2.2.3: "If it is not, the receiver MUST treat the TCP connection providing the header as invalid."
    if value != crc32c(zeroed).to_bytes(4, "big"):
        raise ProxyError("the CRC32C is wrong")


def _parse_ssl(value: bytes) -> tuple[ProxyTls | None, bool]:
    if len(value) < _SSL.size:
        raise ProxyError("the SSL TLV is cut short")
    client, verify = _SSL.unpack_from(value)
    parts = {kind: _text(part) for kind, _, part in _tlvs(value, _SSL.size)}
    # PROXY §2.2.6: "The PP2_CLIENT_SSL flag indicates that the client connected over SSL/TLS."
    if not client & _CLIENT_SSL:
        return None, True
    # PROXY §2.2.6: "The <verify> field will be zero if the client presented a certificate
    # and it was successfully verified, and non-zero otherwise."
    verified = bool(client & _CLIENT_CERTIFICATE) and verify == 0
    tls = ProxyTls(parts.get(_SSL_VERSION, ""), parts.get(_SSL_CIPHER, ""), parts.get(_SSL_CN, ""), verified)
    return tls, False


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise ProxyError("a text is not UTF-8") from error
    if not text.isprintable():
        raise ProxyError("a text holds control characters")
    return text
