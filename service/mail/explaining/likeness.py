"""How alike two names are, so that whoever mistyped one is asked whether another is meant.

Owns the measure: how much of both stands in the other in the same order. What it takes grows by the length of one name
alone, whatever the names are: a domain's owner chooses them, and the event loop waits (G16).
"""

from collections.abc import Iterable

LEAST = 0.8


def closest(name: str, others: Iterable[str], most: int) -> tuple[str, ...]:
    """Those of `others` that are LEAST or more alike, the most alike first, `most` of them at most."""
    places = _places(name)
    ranked = []
    for other in others:
        both = len(name) + len(other)
        # The shorter one stands in the longer as a whole at best.
        if 2 * min(len(name), len(other)) >= LEAST * both:
            likeness = 2 * _common(len(name), places, other) / both
            if likeness >= LEAST:
                ranked.append((-likeness, other))
    return tuple(other for _, other in sorted(ranked)[:most])


def _places(name: str) -> dict[str, int]:
    """Where each character stands in `name`, as bits."""
    places: dict[str, int] = {}
    for place, character in enumerate(name):
        places[character] = places.get(character, 0) | 1 << place
    return places


def _common(length: int, places: dict[str, int], other: str) -> int:
    """How long the longest common subsequence is (Hyyrö 2004): a row of its table is the bits of a number."""
    row = whole = (1 << length) - 1
    for character in other:
        matches = row & places.get(character, 0)
        row = ((row + matches) | (row - matches)) & whole
    return length - row.bit_count()
