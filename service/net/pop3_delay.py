"""How long a refused login waits for its answer.

Owns that the wait tells nothing, and that those who were refused together don't come back together. Refuses to know
how long it is to be.
"""

from random import random

SPREAD = 0.5
"""By how much of itself a delay is longer at most, as chance will have it: guessers that hear their refusals in the
same moment would all log in again in the next, and good clients wait behind two hundred of them, once a second."""


def delay_by_chance(least: float) -> float:
    """Seconds that one refusal takes: `least` or up to half as much again, whatever its reason (G13)."""
    # No secret: who knew what chance brings would gain nothing.
    return least * (1 + SPREAD * random())  # noqa: S311


def rest_of_delay(spent: float, delay: float) -> float:
    """Seconds from now to the answer, so that a refusal takes `delay` or a multiple of it, whatever was `spent`.

    Else the time would tell a name that exists: each of its passwords is tried in turn (G13).
    """
    return delay - spent % delay if delay else 0.0
