"""The API on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.admin.house import Served, furnish, serving


@pytest.fixture
async def empty(migrated_dsn: str) -> AsyncIterator[Served]:
    """The API of a service without tenants."""
    async with serving(migrated_dsn) as served:
        yield served


@pytest.fixture
async def served(empty: Served) -> Served:
    """The API of a service with two tenants, which have one of everything."""
    await furnish(empty)
    return empty
