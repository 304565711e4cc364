"""Which tests stay together in one process, so that what is dear is started once.

Owns the choice, by the fixtures a test asks for. Refuses to name tests: a new one is placed by what it needs.
pytest-xdist's `--dist loadgroup` gives a group to one process, the largest first, and the other tests one by one.
"""

import pytest

SHARED = ("trusting_demo", "mariadb_server", "cluster_of_process")
"""Fixtures that start a system for all tests that want it, in several files."""


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
