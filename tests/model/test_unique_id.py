"""The layouts of unique-ids: by time of arrival, and of what was imported. RFC 1939 §7, RFC 9562 §5.7 and §5.8."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from service.model.unique_id import RANDOM_OCTETS, of_content, time_ordered

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
MAILDROP = UUID(int=7)


def test_a_unique_id_by_time_has_the_milliseconds_the_version_and_the_random_octets() -> None:
    made = time_ordered(MOMENT, b"\xff" * RANDOM_OCTETS)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == int(MOMENT.timestamp() * 1000)
    assert made.bytes[6:] == b"\x7f\xff\xbf" + b"\xff" * 7


def test_unique_ids_by_time_sort_by_arrival() -> None:
    later = time_ordered(MOMENT + timedelta(milliseconds=1), bytes(RANDOM_OCTETS))
    assert time_ordered(MOMENT, b"\xff" * RANDOM_OCTETS) < later


@pytest.mark.parametrize("octets", [0, RANDOM_OCTETS - 1, RANDOM_OCTETS + 1])
def test_a_wrong_number_of_random_octets_is_refused(octets: int) -> None:
    with pytest.raises(ValueError, match="random octets"):
        time_ordered(MOMENT, bytes(octets))


def test_a_unique_id_of_content_is_the_same_at_every_import() -> None:
    made = of_content(MAILDROP, b"s" * 32, 1)
    assert (made.version, made.variant) == (8, RFC_4122)
    assert made == of_content(MAILDROP, b"s" * 32, 1)


def test_unique_ids_of_content_differ_by_maildrop_text_and_occurrence() -> None:
    others = {of_content(UUID(int=8), b"s" * 32, 1), of_content(MAILDROP, b"t" * 32, 1)}
    made = others | {of_content(MAILDROP, b"s" * 32, 1), of_content(MAILDROP, b"s" * 32, 2)}
    assert len(made) == 4
