"""What a process may come to stands beside what it uses."""

import asyncio
import re
import urllib.request

from service.app.limits import limits_of
from service.app.running import running
from service.settings import Settings
from service.telemetry.labels import BUDGETS, LIMITS
from tests.app.conftest import Make

DELIVERY = ("delivery", "delivery_first", "delivery_more")


def test_every_budget_and_bound_has_its_limit() -> None:
    assert set(limits_of(Settings(), {"pop3", "lmtp"})) == LIMITS
    assert set(limits_of(Settings(), {"lmtp"})) == {"connections", "pool", *DELIVERY}
    assert BUDGETS < LIMITS


async def test_limits_are_there_from_the_start(make: Make) -> None:
    settings = make()
    async with running(settings, {"pop3", "lmtp"}) as poplar:

        def scraped() -> str:
            with urllib.request.urlopen(poplar.http_url + "/metrics", timeout=30) as answer:  # noqa: S310
                return str(answer.read(), "utf-8")

        text = await asyncio.to_thread(scraped)
    told = dict(re.findall(r'poplar_limit\{what="(\w+)"\} (\S+)', text))
    assert {what: float(most) for what, most in told.items()} == dict(limits_of(settings, {"pop3", "lmtp"}))
