"""Unique-ids of other servers, packed: what was kept is found, and nothing else. RFC 1939 §7."""

from hypothesis import given
from hypothesis import strategies as st

from service.model.imported import Imported

KEPT = st.dictionaries(
    st.integers(1, 1 << 40), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=70)
)


@given(kept=KEPT, other=st.integers(1, 1 << 40))
def test_g7_each_unique_id_that_was_kept_is_found_under_its_number_alone(kept: dict[int, str], other: int) -> None:
    imported = Imported.of(kept)
    assert imported == kept
    assert imported.get(other) == kept.get(other)


def test_a_thousand_cost_a_few_octets_beside_their_text() -> None:
    kept = {sequence: f"{sequence:064x}" for sequence in range(1, 1001)}
    assert Imported.of(kept).held == 1000 * (64 + 16)
