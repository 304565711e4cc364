"""How long a refused login waits for its answer.

Owns that the wait tells nothing, and that those who were refused together don't come back together. Refuses to know
how long it is to be.
"""

import secrets

SPREAD = 0.5
"""How much of a delay chance adds at most: guessers that hear their refusals in the same moment would all log in again
in the next, and good clients wait behind two hundred of them, once a second."""
_STEPS = 1 << 20


def chance() -> float:
    """A number from 0 to 1, drawn anew for each refusal."""
    return secrets.randbelow(_STEPS) / _STEPS


def rest_of_delay(spent: float, delay: float, drawn: float) -> float:
    """Seconds from now to the answer: up to `delay` or a multiple of it, whatever was `spent`, and what was `drawn`.

    Else the time would tell a name that exists: each of its passwords is tried in turn (G13). What chance adds comes on
    top: multiples of a delay that was itself drawn would tell what was spent, as some of them are hardly longer.
    """
    return delay - spent % delay + SPREAD * delay * drawn if delay else 0.0
