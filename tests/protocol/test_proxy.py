"""The PROXY protocol's header: bad inputs F03 to F11, and every way to cut or stretch one."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.protocol.proxy import Proxied, ProxyError, ProxyTls, Told, at_start, octets_wanted, parse, plain_address
from tests.protocol.proxy_headers import (
    INET,
    INET6,
    LOCAL,
    SIGNATURE,
    UNIX,
    addresses,
    checked,
    header,
    tls,
    tlv,
)

V4 = addresses("203.0.113.7", 50000)
V6 = addresses("2001:db8::7", 50001, "2001:db8::1")
UNIX_PATHS = b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")

GOOD = {
    "v1 over IPv4": (b"PROXY TCP4 203.0.113.7 192.0.2.9 50000 995\r\n", ("203.0.113.7", 50000)),
    "v1 over IPv6": (b"PROXY TCP6 2001:DB8::7 2001:db8::1 50001 995\r\n", ("2001:db8::7", 50001)),
    "v1 with the least and the greatest port": (b"PROXY TCP4 1.1.1.1 1.1.1.1 0 65535\r\n", ("1.1.1.1", 0)),
    "v1 unknown, short": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown, at its longest": (
        b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        None,
    ),
    "v2 over IPv4": (header(V4), ("203.0.113.7", 50000)),
    "v2 over IPv6": (header(V6, INET6), ("2001:db8::7", 50001)),
    "v2 with an IPv4 address mapped into IPv6": (
        header(addresses("::ffff:203.0.113.7", 50000, "::1"), INET6),
        ("203.0.113.7", 50000),
    ),
    "v2 with a checksum": (checked(V4), ("203.0.113.7", 50000)),
    "v2 with a checksum between other TLVs": (checked(V4 + tlv(4, b"pad")), ("203.0.113.7", 50000)),
    "v2 from a UNIX socket": (header(UNIX_PATHS, UNIX), None),
    "v2 LOCAL": (header(b"", 0, LOCAL), None),
    "v2 LOCAL that carries octets nobody may read": (header(b"\xff" * 9, 0xFF, LOCAL), None),
    "v2 of an unspecified family": (header(b"", 0x00), None),
    "v2 of an unspecified family with a checksum": (checked(b"", 0x00), None),
    "v2 of datagrams, which fall back to unspecified": (header(V4, 0x12), None),
    "v2 with TLVs of unknown types": (header(V4 + tlv(0xEE, b"x") + tlv(0x30, b"ns")), ("203.0.113.7", 50000)),
    "v2 with the longest unique id": (header(V4 + tlv(5, b"u" * 128)), ("203.0.113.7", 50000)),
}

BAD = {
    "octets that are no TLVs in an unspecified family": header(b"anything", 0x00),
    "a wrong CRC32C in an unspecified family": header(tlv(3, bytes(4)), 0x00),
    "addresses of datagrams cut short": header(V4[:-1], 0x12),
    "a wrong CRC32C of datagrams": header(V4 + tlv(3, bytes(4)), 0x12),
    "F03: an address with 999": b"PROXY TCP4 999.1.1.1 1.1.1.1 1 1\r\n",
    "F05: a port over 65535": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999\r\n",
    "F06: version 3": SIGNATURE + b"\x31\x11\x00\x0c" + V4,
    "F08: a TLV longer than the header": header(V4 + struct.pack("!BH", 4, 5) + b"abcd"),
    "F09: a wrong CRC32C": checked(V4)[:-1] + bytes([checked(V4)[-1] ^ 1]),
    "a changed address under a right CRC32C": checked(V4).replace(b"\xcb\x00\x71\x07", b"\xcb\x00\x71\x08"),
    "a CRC32C of two octets": header(V4 + tlv(3, b"\0\0")),
    "two CRC32Cs": header(V4 + tlv(3, bytes(4)) * 2),
    "a TLV with half a head": header(V4 + b"\x04\x00"),
    "an address block cut short": header(V4[:-1]),
    "an IPv6 family with IPv4 addresses": header(V4, INET6),
    "a UNIX family with IPv4 addresses": header(V4, UNIX),
    "an unknown family": header(V4, 0x41),
    "an unknown transport": header(V4, 0x13),
    "an unknown command": header(V4, INET, 0x22),
    "version 1 in a binary header": header(V4, INET, 0x11),
    "a unique id over 128 octets": header(V4 + tlv(5, b"u" * 129)),
    "an authority that isn't UTF-8": header(V4 + tlv(2, b"\xff")),
    "an authority with a line end": header(V4 + tlv(2, b"a\r\nb")),
    "an SSL TLV without its fixed part": header(V4 + tlv(0x20, b"\x01\0\0\0")),
    "an SSL TLV whose part overruns it": header(V4 + tlv(0x20, b"\x01\0\0\0\0\x21\x00\x09TLS")),
    "two SSL TLVs": header(V4 + tls() + tls(client=0)),
    "a TLS version with a control character": header(V4 + tls(b"TLSv1.3\x1b")),
    "a number with a leading zero": b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
    "a port with a leading zero": b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
    "a port with a sign": b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
    "a port with an underscore": b"PROXY TCP4 1.1.1.1 1.1.1.1 1_0 1\r\n",
    "a bad destination": b"PROXY TCP4 1.1.1.1 1.1.1 1 1\r\n",
    "a bad destination port": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
    "an IPv6 address called TCP4": b"PROXY TCP4 ::1 ::1 1 1\r\n",
    "an IPv4 address called TCP6": b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
    "an IPv6 address with a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
    "two spaces": b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
    "a trailing space": b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
    "a family in lower case": b"PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n",
    "a family of datagrams": b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "a field too few": b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
    "nothing but the word": b"PROXY \r\n",
    "digits of another script": "PROXY TCP4 1.1.1.1 1.1.1.1 ١ 1\r\n".encode(),
}


@pytest.mark.parametrize(("octets", "source"), GOOD.values(), ids=GOOD)
def test_a_good_header_tells_the_source(octets: bytes, source: tuple[str, int] | None) -> None:
    assert octets_wanted(octets) == 0
    assert parse(octets).source == source


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_a_malformed_header_is_an_error(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(octets)


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_a_header_that_is_there_is_known_to_be_whole_and_one_that_is_not_is_not(octets: bytes) -> None:
    assert at_start(octets) == at_start(octets + b"USER x\r\n") == (parse(octets), len(octets))
    assert not any(at_start(octets[:end]) for end in range(len(octets)))
    assert at_start(b"USER x\r\n" + octets) is None


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_a_reader_that_asks_what_to_read_takes_the_header_and_nothing_after_it(octets: bytes) -> None:
    stream = octets + b"\x16\x03\x01 and the rest"
    taken = b""
    while wanted := octets_wanted(taken):
        taken += stream[len(taken) : len(taken) + wanted]
    assert taken == octets


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_a_header_that_comes_octet_by_octet_is_never_overread(octets: bytes) -> None:
    for end in range(len(octets)):
        assert 1 <= octets_wanted(octets[:end]) <= len(octets) - end


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_a_header_cut_at_any_octet_is_no_header(octets: bytes) -> None:
    for end in range(len(octets)):
        with pytest.raises(ProxyError):
            parse(octets[:end])


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_a_header_with_an_octet_behind_it_is_no_header(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(octets + b"x")


@pytest.mark.parametrize(
    "start",
    [b"G", b"USER a\r\n", b"PROXYTCP4 1", b"proxy ", b"\r\n\r\n\x01", b"\x16\x03\x01", b"\r\n\r\n\x00\r\nQUIT\r"],
)
def test_what_cannot_begin_a_header_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(ProxyError):
        octets_wanted(start)


def test_a_line_without_an_end_is_refused_after_107_octets() -> None:
    line = b"PROXY UNKNOWN " + b"x" * 93
    assert octets_wanted(line[:106]) == 1
    with pytest.raises(ProxyError):
        octets_wanted(line)


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\n\r"])
def test_a_line_ends_with_both_cr_and_lf(ending: bytes) -> None:
    assert octets_wanted(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1" + ending) == 1


def test_the_sender_tells_of_the_clients_tls() -> None:
    more = tlv(0x23, b"TLS_AES_128_GCM_SHA256") + tlv(0x22, "Zoë".encode())
    octets = checked(
        V4 + tlv(1, b"pop3") + tlv(2, b"pop.example") + tlv(5, b"id-1") + tls(client=3, verify=0, more=more)
    )
    told = Told(
        tls=ProxyTls("TLSv1.3", "TLS_AES_128_GCM_SHA256", "Zoë", verified=True),
        alpn=b"pop3",
        authority="pop.example",
        unique_id=b"id-1",
    )
    assert parse(octets) == Proxied(("203.0.113.7", 50000), told)


def test_a_certificate_that_was_not_verified_is_not_called_so() -> None:
    shown = parse(header(V4 + tls(client=3, verify=1, more=tlv(0x22, b"mallory")))).told.tls
    assert shown == ProxyTls("TLSv1.3", "", "mallory", verified=False)


def test_no_certificate_is_not_a_verified_one() -> None:
    assert parse(header(V4 + tls(client=1, verify=0))).told.tls == ProxyTls("TLSv1.3")


def test_an_ssl_tlv_without_the_flag_says_clear_text() -> None:
    said = parse(header(V4 + tls(client=0))).told
    assert (said.tls, said.cleartext) == (None, True)


@pytest.mark.parametrize(
    ("block", "family"),
    [(b"", 0x00), (b"", 0x01), (V4, 0x10), (V4, 0x12), (V6, 0x22), (UNIX_PATHS, UNIX), (UNIX_PATHS, 0x32)],
)
def test_a_header_without_an_address_for_us_tells_of_tls_all_the_same(block: bytes, family: int) -> None:
    assert parse(header(block + tls(client=0), family)) == Proxied(told=Told(cleartext=True))
    assert parse(header(block + tls(), family)) == Proxied(told=Told(tls=ProxyTls("TLSv1.3")))


def test_a_header_without_an_ssl_tlv_says_nothing_of_tls() -> None:
    said = parse(header(V4)).told
    assert (said.tls, said.cleartext) == (None, False)


@given(st.binary(max_size=80))
@example(SIGNATURE)
def test_any_octets_are_a_header_or_a_proxy_error(octets: bytes) -> None:
    for start in (b"", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x40", header(V4)):
        try:
            wanted = octets_wanted(start + octets)
            said = parse(start + octets)
        except ProxyError:
            continue
        assert wanted == 0
        assert said.source is None or plain_address(said.source[0]) == said.source[0]


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_any_ipv6_source_reads_alike_in_both_versions(address: object, port: int) -> None:
    line = f"PROXY TCP6 {address} ::1 {port} 1\r\n".encode()
    assert parse(line).source == parse(header(addresses(str(address), port, "::1"), INET6)).source


@given(st.binary(max_size=60), st.data())
def test_no_flipped_bit_of_an_address_or_a_value_passes_the_checksum(value: bytes, data: st.DataObject) -> None:
    octets = bytearray(checked(V4 + tlv(0xE0, value)))
    value_start = 16 + len(V4) + 3
    flippable = [*range(16, 16 + len(V4)), *range(value_start, value_start + len(value)), *range(-4, 0)]
    octets[data.draw(st.sampled_from(flippable))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ProxyError):
        parse(bytes(octets))
