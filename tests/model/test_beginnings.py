"""What proves the header and the parts of a text: RFC 1939 §7 TOP needs a beginning alone. G8."""

from hashlib import sha256
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.beginnings import PART_OCTETS, Beginning
from service.model.text import Measure
from tests.protocol.lmtp.world import TEXT, canonical, pieces


def proven(text: bytes, *octets: int) -> list[Beginning]:
    return [Beginning(end, sha256(text[:end]).digest()) for end in octets]


@given(TEXT, st.lists(st.integers(0, 60)), st.integers(1, 20))
def test_the_beginnings_of_a_text_do_not_depend_on_how_it_came(text: bytes, cuts: list[int], part: int) -> None:
    stored, measure = canonical([text]), Measure()
    with mock.patch("service.model.beginnings.PART_OCTETS", part):
        for piece in pieces(stored, cuts):
            measure.feed(piece)
        blob = measure.blob("key")
        parts = range(part, len(stored), part)
        assert blob.proofs() == (*proven(stored, *parts), Beginning(len(stored), blob.sha256))
        header = [end for end in parts if end < blob.header_octets]
        assert blob.proofs(header=True) == (*proven(stored, *header, blob.header_octets),)


@pytest.mark.parametrize("octets", [PART_OCTETS - 1, PART_OCTETS, PART_OCTETS + 1, 2 * PART_OCTETS])
def test_no_part_is_longer_than_a_mebibyte_and_none_is_empty(octets: int) -> None:
    text, measure = b"A: b\r\n\r\n" + b"x" * (octets - 8), Measure()
    measure.feed(text)
    proofs = measure.blob("key").proofs()
    assert proofs == (*proven(text, *([PART_OCTETS] if octets > PART_OCTETS else []), octets),)
