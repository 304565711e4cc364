"""The hosts of one URL: which is reached, in what time, and that nothing of the others stays open."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from service.stores.hosts import Hosts

NEVER = 60.0
SECONDS = 1.0


class Connected:
    """A connection to a scripted host."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.open = True

    def terminate(self) -> None:
        """It is open no more."""
        self.open = False


class Script:
    """Hosts that answer after so many seconds each; `standbys` then refuse."""

    def __init__(self) -> None:
        self.takes: dict[str, float] = {}
        self.standbys: set[str] = set()
        self.asked: list[str] = []
        self.made: list[Connected] = []
        self.cancelled: list[str] = []

    async def connect(self, url: str, timeout: float, **_options: Any) -> Connected:
        """As asyncpg does it."""
        host = url.partition("@")[2].partition("/")[0]
        self.asked.append(host)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self.takes[host])
        except asyncio.CancelledError:
            self.cancelled.append(host)
            raise
        if host in self.standbys:
            raise asyncpg.TargetServerAttributeNotMatched(host)
        self.made.append(Connected(host))
        return self.made[-1]

    def hosts(self, **takes: float) -> Hosts:
        """A URL of these."""
        self.takes = takes
        return Hosts(f"postgresql://u@{','.join(takes)}/d", SECONDS)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script = Script()
    monkeypatch.setattr(asyncpg, "connect", script.connect)
    yield script
    assert not [each for each in script.made if each.open]


async def reached(hosts: Hosts) -> object:
    connection: Any = await hosts.connect()
    assert connection.open
    connection.terminate()
    return connection.host


@pytest.mark.parametrize("order", [("primary", "standby"), ("standby", "primary"), ("primary", "standby", "other")])
async def test_a_primary_that_is_slow_is_reached_beside_standbys(script: Script, order: tuple[str, ...]) -> None:
    script.standbys = {"standby", "other"}
    hosts = script.hosts(**{host: 0.7 if host == "primary" else 0.0 for host in order})
    assert await reached(hosts) == "primary"


async def test_a_primary_that_is_slow_is_reached_behind_a_host_that_says_nothing(script: Script) -> None:
    hosts = script.hosts(silent=NEVER, primary=0.6)
    assert await reached(hosts) == "primary"
    await asyncio.sleep(0)
    assert script.cancelled == ["silent"]
    script.takes["primary"] = 0.0
    assert await reached(hosts) == "primary"
    assert script.asked == ["silent", "primary", "primary"]


@pytest.mark.parametrize("patience", [NEVER, SECONDS - 0.05])
async def test_a_host_that_takes_nearly_all_of_the_time_comes_first_the_next_time(
    script: Script, patience: float
) -> None:
    hosts = script.hosts(silent=NEVER, primary=0.85)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(patience):
            await hosts.connect()
    assert await reached(hosts) == "primary"


async def test_the_first_host_that_answers_in_time_is_the_only_one_asked(script: Script) -> None:
    hosts = script.hosts(first=0.0, second=0.0)
    assert await reached(hosts) == "first"
    assert script.asked == ["first"]


async def test_a_standby_is_told_only_where_no_host_is_away(script: Script) -> None:
    script.standbys = {"standby"}
    with pytest.raises(TimeoutError):
        await script.hosts(standby=0.0, silent=NEVER).connect()
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await script.hosts(standby=0.0).connect()


@pytest.mark.parametrize("turns", range(8))
async def test_of_hosts_that_answer_together_one_connection_stays_and_none_for_who_is_cancelled(
    script: Script, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    answer = asyncio.Event()

    async def connect(url: str, **_options: Any) -> Connected:
        await answer.wait()
        script.made.append(Connected(url))
        return script.made[-1]

    monkeypatch.setattr(asyncpg, "connect", connect)
    connecting = asyncio.create_task(script.hosts(first=0.0, second=0.0).connect())
    await asyncio.sleep(SECONDS / 3)
    answer.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    connecting.cancel()
    came = await asyncio.gather(connecting, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert [each for each in script.made if each.open] == [each for each in came if isinstance(each, Connected)]
    for each in script.made:
        each.terminate()


async def test_who_is_cancelled_leaves_no_connection_to_any_host() -> None:
    taken, ended = 0, asyncio.Semaphore(0)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken += 1
        await reader.read()
        writer.close()
        ended.release()

    servers = [await asyncio.start_server(take, "127.0.0.1", 0) for _ in range(2)]
    named = ",".join(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await Hosts(f"postgresql://u@{named}/d", SECONDS).connect()
    assert taken == 2
    async with asyncio.timeout(5):
        for _ in range(2):
            await ended.acquire()
    for server in servers:
        server.close()
