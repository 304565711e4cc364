"""A PROXY header that we send (PROXY §2.2) says, read back, what it was made of."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.proxy import Proxied, ProxyTls, parse, plain_address
from service.protocol.proxy_sending import version_2
from tests.protocol.proxy_headers import addresses, header, tls

ADDRESSES = st.ip_addresses()
PORTS = st.integers(0, 65_535)


@given(client=ADDRESSES, server=ADDRESSES, port=PORTS, other=PORTS)
def test_the_client_is_read_back_whatever_its_family(
    client: IPv4Address | IPv6Address, server: IPv4Address | IPv6Address, port: int, other: int
) -> None:
    assert parse(version_2((str(client), port), (str(server), other))) == Proxied((plain_address(str(client)), port))


def test_a_client_s_tls_is_read_back() -> None:
    sent = version_2(("203.0.113.7", 4000), ("192.0.2.9", 995), "TLSv1.3")
    assert parse(sent).told.tls == ProxyTls("TLSv1.3")
    assert sent == header(addresses("203.0.113.7", 4000) + tls())


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        version_2(("nobody", 1), ("192.0.2.9", 995))
