"""The mechanisms Poplar offers: every module of this package that defines `MECHANISM`.

Owns the set and its order. Adding a mechanism is adding one file here; one that needs a configuration to succeed is
offered only to sessions that are told so.
RFC 5034 §4.
"""

from importlib import import_module
from pkgutil import iter_modules

from service.protocol.sasl.exchange import Mechanism


def _found() -> list[Mechanism]:
    modules = (import_module(f"{__name__}.{entry.name}") for entry in iter_modules(__path__))
    return sorted((module.MECHANISM for module in modules), key=lambda mechanism: mechanism.rank)


MECHANISMS: dict[str, Mechanism] = {mechanism.name: mechanism for mechanism in _found()}
EVERYWHERE: frozenset[str] = frozenset(name for name, mechanism in MECHANISMS.items() if mechanism.everywhere)
"""What every configuration can offer."""
