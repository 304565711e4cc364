"""Whether a URL of the settings can be read as its writer meant it.

Owns the search for a password that isn't encoded: a '/', '?' or '#' in it ends the login early, and what follows would
be shown as a path (G17). Refuses to know what a URL leads to. RFC 3986 §3.2 (the authority ends at these) and §2.1.
"""

import re
from urllib.parse import urlsplit

_HOSTS = re.compile(r"(?:(?:\[[^\]]*\]|[^:,\[\]]*)(?::[0-9]*)?(?:,|$))*")
# A host and a database would follow the login's end with a '/' between them.
_PARAMETER = re.compile(r"\w+=.*@[^@/]*")


def ports_are_numbers(url: str) -> bool:
    """Whether each host of `url` has a number as its port, or none. Raises ValueError for what is no URL."""
    return _HOSTS.fullmatch(urlsplit(url).netloc.rpartition("@")[2]) is not None


def login_is_cut(url: str) -> bool:
    """Whether the login of `url` goes on where a reader of URLs has ended it. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    # Without an authority there is no login: unix:///run/redis@1.sock.
    if not parts.netloc:
        return False
    if "@" in parts.path or "@" in parts.fragment:
        return True
    if not all(_PARAMETER.fullmatch(each) for each in parts.query.split("&") if "@" in each):
        return True
    return "@" in parts.query and not ports_are_numbers(url)


def check_login(url: str) -> None:
    """Raises ValueError, without any of the password in its text, where the login of `url` is cut or can't be read."""
    try:
        cut = login_is_cut(url)
    except ValueError:
        raise ValueError("must be a URL, with each special character of its password as % and two digits") from None
    if cut:
        raise ValueError(
            "must have each '/', '?', '#' and '@' of its password as %2F, %3F, %23 and %40, and no other '@'"
        )
