"""Which Poplar this is.

Owns the version as the installed distribution states it. Refuses to know how it was built.
RFC 2449 §6.9 (IMPLEMENTATION) is what clients are told of it.
"""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("poplar")
    except PackageNotFoundError:
        return "0+unknown"


VERSION = _installed()
