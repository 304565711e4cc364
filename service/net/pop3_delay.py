"""How long a refused login waits for its answer.

Owns that the wait tells nothing. Refuses to know how long that is to be.
"""


def rest_of_delay(spent: float, delay: float) -> float:
    """Seconds from now to the answer, so that a refusal takes `delay` or a multiple of it, whatever was `spent`.

    Else the time would tell a name that exists: each of its passwords is tried in turn (G13).
    """
    return delay - spent % delay if delay else 0.0
