"""PROXY headers as a load balancer would send them, built independently of the reader under test."""

import struct
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
INET, INET6, UNIX = 0x11, 0x21, 0x31
PROXY, LOCAL = 0x21, 0x20


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def header(body: bytes, family: int = INET, command: int = PROXY) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def addresses(source: str, port: int, destination: str = "192.0.2.9") -> bytes:
    return ip_address(source).packed + ip_address(destination).packed + struct.pack("!HH", port, 995)


def tls(version: bytes = b"TLSv1.3", client: int = 1, verify: int = 1, more: bytes = b"") -> bytes:
    return tlv(0x20, struct.pack("!BI", client, verify) + tlv(0x21, version) + more)


def slow_crc32c(octets: bytes) -> int:
    """The checksum bit by bit, as RFC 4960 §B defines it, without a table."""
    value = 0xFFFFFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def checked(body: bytes, family: int = INET) -> bytes:
    """A header with `body` and a right CRC32C TLV behind it."""
    zeroed = header(body + tlv(0x03, bytes(4)), family)
    return zeroed[:-4] + struct.pack("!I", slow_crc32c(zeroed))
