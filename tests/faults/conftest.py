"""An installation for the tests of one file, on backends that they may harm, and a maildrop for each test."""

from collections.abc import Iterator

import pytest

from tests.backends.postgres import Postgres, fresh_database
from tests.faults.site import Site, maildrop_of_ones_own, site_in, valkey_in


@pytest.fixture(scope="module")
def house(
    postgres_server: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """An LMTP process and the front ends `a` and `b`. Postgres serves other tests too: leave it alone."""
    folder = tmp_path_factory.mktemp("site")
    with (
        valkey_in(folder / "valkey") as valkey,
        fresh_database(postgres_server, migrated_template) as dsn,
        site_in(folder, dsn, valkey) as site,
    ):
        for name, role in (("lmtp", "lmtp"), ("a", "serve"), ("b", "serve")):
            site.run(name, role)
        yield site


@pytest.fixture
def site(house: Site) -> Iterator[Site]:
    """The installation, with an empty maildrop."""
    with maildrop_of_ones_own(house):
        yield house
