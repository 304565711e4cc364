"""What a session leaves behind, of far more messages than are looked at together. RFC 1939 §6; RFC 2449 §6.7."""

import random
from array import array

import pytest

from service.model.listing import DropListing, Listing
from service.model.policy import Policy
from service.protocol.pop3.marks import RUN, Marks

CHOICES = {
    "none": lambda _: False,
    "all": lambda _: True,
    "the first alone": lambda number: number == 1,
    "the last of a run": lambda number: number == RUN,
    "the first of the next": lambda number: number == RUN + 1,
    "whole runs": lambda number: (number - 1) // RUN % 2 == 0,
    "every other one": lambda number: number % 2 == 0,
    "some": lambda number: random.Random(number).random() < 0.3,
}


@pytest.mark.parametrize("marked", CHOICES)
@pytest.mark.parametrize("retrieved", ["none", "all", "every other one", "whole runs"])
@pytest.mark.parametrize("messages", [RUN - 1, RUN, RUN + 1, 5 * RUN + 17])
def test_what_is_removed_and_noted_is_what_was_marked_and_retrieved(marked: str, retrieved: str, messages: int) -> None:
    numbers = range(1, messages + 1)
    marks = Marks(DropListing(messages, messages, messages, 0))
    # Sequence numbers have gaps: where a message was removed before.
    marks.load(
        Listing(array("q", (3 * number for number in numbers)), array("q", [1] * messages), bytes(16 * messages))
    )
    chosen, read = (set(filter(CHOICES[name], numbers)) for name in (marked, retrieved))
    for number in chosen:
        marks.mark(number)
    for number in read:
        marks.note_retrieved(number)
    parting = marks.parting(Policy())
    assert list(parting.sequences) == [3 * number for number in sorted(chosen)]
    assert list(parting.retrieved) == [3 * number for number in sorted(read - chosen)]
    assert parting.kept == 0
    kept = marks.parting(Policy(dele="keep", retrieved_days=0))
    assert list(kept.sequences) == [3 * number for number in sorted(read)]
    assert kept.kept == len(chosen - read)
