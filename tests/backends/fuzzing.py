"""How much property tests try: little in `make test`, far more in `make fuzz`.

Owns the factor, from the variable FUZZ_TIMES. It multiplies what a test itself chose.
"""

import os
from collections.abc import Iterable

import pytest
from hypothesis import is_hypothesis_test, settings

CHOICE = "_hypothesis_internal_use_settings"


def factor() -> int:
    """By how much to multiply the examples."""
    return int(os.environ.get("FUZZ_TIMES", "1"))


def try_more(items: Iterable[pytest.Item], times: int) -> None:
    """Multiply the examples of every property test among `items`, each test once."""
    functions = {function(item) for item in items if isinstance(item, pytest.Function)}
    for test in filter(is_hypothesis_test, functions):
        if hasattr(test, CHOICE):
            setattr(test, CHOICE, multiplied(getattr(test, CHOICE), times))
    for machine in {item.cls for item in items if isinstance(item, pytest.Function) and item.cls}:
        if isinstance(getattr(machine, "settings", None), settings):
            machine.settings = multiplied(machine.settings, times)


def function(item: pytest.Function) -> object:
    return getattr(item.obj, "__func__", item.obj)


def multiplied(chosen: settings, times: int) -> settings:
    return settings(chosen, max_examples=chosen.max_examples * times, deadline=None)
