"""Which names are alike enough to be meant by one that isn't there. G16: whatever the names are, it takes few steps."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.explaining.likeness import closest

NAMES = st.text("abc", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("name", "others", "meant"),
    [
        ("adda", ["ada", "bob", "abba", "a"], ["ada"]),
        ("zorra", ["zoe", "zora"], ["zora"]),
        ("info", ["infos", "inf", "info1", "nfo", "sales"], ["info1", "infos", "inf"]),
        ("j.smith", ["smith", "j.smyth", "jsmith", "j.smith2"], ["j.smith2", "jsmith", "j.smyth"]),
        ("ab", ["ba", "xy"], []),
        ("ada", [], []),
    ],
)
def test_the_names_most_alike_come_first_and_three_are_enough(name: str, others: list[str], meant: list[str]) -> None:
    assert closest(name, others, 3) == tuple(meant)


@given(NAMES, NAMES)
def test_names_are_as_alike_as_their_longest_common_subsequence_says(name: str, other: str) -> None:
    alike = 2 * subsequence(name, other) / (len(name) + len(other)) >= 0.8
    assert closest(name, [other], 1) == ((other,) if alike else ())


def subsequence(one: str, other: str) -> int:
    """By the table of the textbook."""
    row = [0] * (len(other) + 1)
    for character in one:
        above = row[:]
        for place, second in enumerate(other, 1):
            row[place] = above[place - 1] + 1 if character == second else max(above[place], row[place - 1])
    return row[-1]


class Steps(str):
    """A name that counts how often its characters are asked for."""

    taken = 0

    def __iter__(self) -> Iterator[str]:
        for character in str.__iter__(self):
            Steps.taken += 1
            yield character


def test_g16_names_of_few_letters_take_as_many_steps_as_any() -> None:
    """Names like "baba..." took 5 ms each, so that 2,000 of a domain stopped the API for 10 s."""
    others = [Steps("ab" * 31) for _ in range(100)]
    assert closest("ba" * 31, others, 3) == ("ab" * 31,) * 3
    assert Steps.taken == 100 * 62
