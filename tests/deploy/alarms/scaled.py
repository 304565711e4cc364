"""Makes an hour pass in a minute, so that an alert can be seen firing while somebody waits.

Every length of time is divided by `FACTOR`, and nothing else is changed: the windows of ranges ([5m] becomes [5s]),
`for:`, and seconds that are written as a product (3 * 3600 becomes 3 * 60, 14 * 86400 becomes 14 * 1440). Ratios, rates
a second, numbers and the names of recorded series stay as they are. The same is done to the queries of runbooks.
"""

import re

FACTOR = 60
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def scaled(text: str) -> str:
    """Rules or a query with shorter times. Raises ValueError for one that would be less than a second."""
    text = re.sub(r"(?<=\[)(\d+)([smhd])(?=\])", _shorter, text)
    text = re.sub(r"(?<=^        for: )(\d+)([smhd])$", _shorter, text, flags=re.MULTILINE)
    return re.sub(r"(?<=\d \* )(3600|86400)\b", lambda found: str(int(found[1]) // FACTOR), text)


def _shorter(found: "re.Match[str]") -> str:
    seconds, odd = divmod(int(found[1]) * SECONDS[found[2]], FACTOR)
    if odd:
        raise ValueError(f"{found[0]} is no whole number of seconds once it is divided by {FACTOR}")
    return f"{seconds}s"
