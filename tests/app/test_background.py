"""What runs beside the sessions goes on, whatever becomes of telling that it failed."""

import asyncio

import pytest

from service.app import background, observed
from service.app.background import background as running
from service.app.observed import Outages
from service.model.refusal import Reason, Refusal


class Mute:
    """A log that can't be written; it counts what it was told."""

    told = 0

    def _fail(self, _event: str, **_facts: object) -> None:
        self.told += 1
        raise OSError(28, "No space left on device")

    exception = error = info = _fail


async def test_what_fails_begins_again_though_the_log_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    log, again = Mute(), asyncio.Event()
    monkeypatch.setattr(background, "get_log", lambda _name: log)
    monkeypatch.setattr(background, "PAUSE", 0.001)

    async def work() -> None:
        if log.told == 2:
            again.set()
            await asyncio.sleep(60)
        raise ValueError

    async with running() as tasks:
        tasks.start("leases", work)
        async with asyncio.timeout(10):
            await again.wait()


def test_an_outage_is_told_once_though_the_log_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Mute()
    monkeypatch.setattr(observed, "get_log", lambda _what: log)
    outages = Outages("leases")
    away = Refusal(Reason.UNAVAILABLE, "away")
    for refusal in (away, None):
        with pytest.raises(OSError, match="No space"):
            outages.report(refusal)
        outages.report(refusal)
    assert log.told == 2
