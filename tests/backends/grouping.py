"""Which tests stay together in one process, so that what is dear is started once; and in which order they come.

Owns the choice, by the fixtures a test asks for, and the order, by how long a test may take. Refuses to name tests: a
new one is placed by what it needs. pytest-xdist's `--dist loadgroup` gives a group to one process, and the other tests
one by one; with `--no-loadscope-reorder` in the order of here.
"""

from collections.abc import Iterator

import pytest

SHARED = ("trusting_demo", "mariadb_server", "cluster_of_process")
"""Fixtures that start a system for all tests that want it, in several files."""
BETWEEN_GROUPS = 60
"""How many of a hundred tests by themselves come between the groups, and not after them."""


def together(item: pytest.Item) -> str | None:
    """The group of a test: that of the dear system it needs, or its file's where the file starts one of its own."""
    if not isinstance(item, pytest.Function):
        return None
    # A fixture may be asked for by the name that a parameter gives.
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    for shared in SHARED:
        if shared in item.fixturenames or any(value == shared for value in given if isinstance(value, str)):
            return shared
    of_its_file = any(each.scope == "module" for name in item.fixturenames for each in definitions(item, name))
    return item.nodeid.partition("::")[0] if of_its_file else None


def definitions(item: pytest.Item, name: str) -> "tuple[pytest.FixtureDef[object], ...]":
    """What `name` stands for in this test, the nearest definition last; empty where a parameter stands for it."""
    return tuple((item.session._fixturemanager.getfixturedefs(name, item) or ())[-1:])


def keep_together(items: list[pytest.Item]) -> None:
    """Mark each test with its group, unless it names one itself."""
    for item in items:
        group = together(item)
        if group is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group))


def in_turn(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Groups, those that may take longest first, and between them tests by themselves.

    Who starts a dear system waits for most of the time, and meanwhile the others use the cores. At the end come tests
    by themselves alone, of which each process takes one when it has none.
    """
    groups: dict[str, list[pytest.Item]] = {}
    alone: list[pytest.Item] = []
    for item in items:
        if (marker := item.get_closest_marker("xdist_group")) is not None:
            groups.setdefault(marker.args[0], []).append(item)
        elif allowed(item):
            groups[item.nodeid] = [item]
        else:
            alone.append(item)
    between = len(alone) * BETWEEN_GROUPS // max(1, 100 * len(groups))
    for group in sorted(groups.values(), key=lambda group: (-max(map(allowed, group)), -len(group))):
        yield from group
        yield from alone[:between]
        del alone[:between]
    yield from alone


def allowed(item: pytest.Item) -> float:
    """The seconds it may take where that is more than others may; 0 otherwise."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker is not None and marker.args else 0.0
