"""EXTERNAL as a pure exchange: whom a certificate stands for. R106; RFC 4422 appendix A, RFC 8314 §4.2, RFC 4422 §3."""

import pytest

from service.model.proof import CertificateProof
from service.protocol.sasl.exchange import Outside, Verify
from service.protocol.sasl.mechanisms import MECHANISMS

ONE, TWO = ("ada@acme.example",), ("ada@acme.example", "bob@acme.example")


def proof(response: bytes, certified: tuple[str, ...]) -> object:
    move = MECHANISMS["EXTERNAL"].begin(Outside(certified=certified)).respond(response)
    assert isinstance(move, Verify)
    assert move.if_refused is None
    return move.proof


def test_without_a_name_the_only_address_of_the_certificate_is_meant() -> None:
    """RFC 4422 appendix A.1."""
    assert proof(b"", ONE) == CertificateProof("ada@acme.example", ONE)


def test_with_a_name_that_one_is_meant_and_the_certificate_is_compared_later() -> None:
    assert proof(b"bob@acme.example", TWO) == CertificateProof("bob@acme.example", TWO)
    assert proof(b"eve@acme.example", TWO) == CertificateProof("eve@acme.example", TWO)


@pytest.mark.parametrize("certified", [(), TWO])
def test_without_a_name_several_addresses_or_none_prove_nothing(certified: tuple[str, ...]) -> None:
    assert proof(b"", certified) is None


@pytest.mark.parametrize("response", [b"\xff", b"ada\0", b"a" * 256, "\u00ad".encode(), b"a\x07b"])
def test_what_is_no_name_proves_nothing(response: bytes) -> None:
    assert proof(response, ONE) is None
