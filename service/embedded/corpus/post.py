"""Who writes what to whom: one delivery after the other, in the order of their dates.

Owns the plot. Refuses to know how a letter is built (`everyday.py`, `unusual.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from service.embedded.corpus import everyday, unusual
from service.embedded.corpus.letter import Letter, Sheet


@dataclass(frozen=True, slots=True)
class Post:
    """The demo's people by their addresses: those of the first tenant, then those of the second."""

    first: tuple[str, str]
    second: tuple[str, str]

    @property
    def everyone(self) -> tuple[str, ...]:
        """All four addresses."""
        return self.first + self.second


def all_letters(post: Post) -> Iterator[Letter]:
    """Every letter, oldest first: above 40 messages over all maildrops."""
    days = count()
    for members in (post.first, post.second):
        yield everyday.welcome(Sheet(next(days), members))
    yield from _to_each(post.everyone, days)
    yield from everyday.thread(days, post.first)
    yield from everyday.thread(days, post.second)
    for kind in unusual.KINDS:
        yield kind(Sheet(next(days), post.first[:1]))
    for kind in unusual.KINDS[::3]:
        yield kind(Sheet(next(days), post.second[:1]))


def _to_each(people: Sequence[str], days: Iterator[int]) -> Iterator[Letter]:
    for kind in everyday.KINDS:
        for person in people:
            yield kind(Sheet(next(days), (person,)))
