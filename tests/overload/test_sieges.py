"""Every siege in small, at one real front end with production's settings: G15, G16, G17. `make overload` is the whole.

Bounds of memory, what is given back, and that good clients are served are asserted here; speed is judged there.
RFC 1939 §3 (autologout), RFC 2449 §6.6 (PIPELINING).
"""

from collections.abc import Iterator

import pytest

from service.net.door import UNSENT
from tests.overload.besieging import besiege, troubles, visit
from tests.overload.held import MEBIBYTE
from tests.overload.sieges import SHORT, SHORT_CROWD, Siege
from tests.overload.site import Site, site
from tests.system.front_end import FrontEnd

ONCE = 64.0
"""MiB that the process needs once: two computations of Argon2id, and the first use of what it had not used yet."""
UNTRIMMED = 128.0
"""MiB that may stay until free memory is next given back, which `tests/app/test_trimming.py` has."""
CLIENTS = 4
"""Of the good ones; each has a session at least."""
SERIES_OF_VERBS = 160
"""Series that come with the first use of each command, listener and outcome; a siege's clients and names add none."""

pytestmark = pytest.mark.xdist_group("overload")


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, FrontEnd]]:
    """A front end, once good clients were there."""
    folder = tmp_path_factory.mktemp("overload")
    # Where root runs this, Postgres is another user.
    folder.chmod(0o755)
    with site(folder, SHORT_CROWD) as place, place.front_end("front", {}) as front:
        visit(front, 0.0)
        yield place, front


@pytest.mark.parametrize("siege", SHORT, ids=lambda siege: siege.name.replace(", ", "-"))
def test_g15_a_siege_costs_bounded_memory_and_leaves_nothing_behind(
    besieged: tuple[Site, FrontEnd], siege: Siege
) -> None:
    place, front = besieged
    came = besiege(place, front, siege, 0.0, UNTRIMMED)
    assert came.risen <= ONCE + siege.each * siege.clients / 1024
    # The kernel may take twice its mark, and what is on its way.
    assert came.unsent * MEBIBYTE <= 4 * UNSENT * siege.clients
    assert came.good.unexpected == {}
    assert came.good.waits.count >= CLIENTS
    assert came.during.series - came.level.series <= SERIES_OF_VERBS
    assert troubles(front) == []


def test_g17_invented_names_add_no_series(besieged: tuple[Site, FrontEnd]) -> None:
    place, front = besieged
    names = next(siege for siege in SHORT if siege.kind == "names")
    first = besiege(place, front, names, 0.0, UNTRIMMED)
    second = besiege(place, front, names, 0.0, UNTRIMMED)
    assert second.heard["heard"]["(handshakes)"] >= names.options["least"]
    assert second.after.series == first.after.series
