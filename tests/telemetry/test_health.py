"""/livez, /readyz and /metrics, over a real socket in the same event loop."""

import asyncio
import time
import urllib.error
import urllib.request

import pytest
from starlette.types import Receive, Scope, Send

from service.telemetry import metrics
from service.telemetry import serving as serving_module
from service.telemetry.health import State, ops_app
from service.telemetry.looplag import watch_loop_lag
from service.telemetry.registries import own_registry
from service.telemetry.serving import serving


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_readiness_follows_the_state_and_liveness_does_not() -> None:
    state: list[State] = ["starting"]
    async with serving(ops_app(lambda: state[0], own_registry), "127.0.0.1", 0) as url:
        assert await asyncio.to_thread(fetch, f"{url}/readyz") == (503, "starting\n")
        state[0] = "ready"
        assert await asyncio.to_thread(fetch, f"{url}/readyz") == (200, "ready\n")
        state[0] = "draining"
        assert await asyncio.to_thread(fetch, f"{url}/readyz") == (503, "draining\n")
        assert await asyncio.to_thread(fetch, f"{url}/livez") == (200, "alive\n")


async def test_a_balancer_hears_404_while_those_who_are_there_may_stay() -> None:
    state: list[State] = ["starting"]
    async with serving(ops_app(lambda: state[0], own_registry), "127.0.0.1", 0) as url:
        told = []
        for now in ("starting", "ready", "draining"):
            state[0] = now
            told.append(await asyncio.to_thread(fetch, f"{url}/routez"))
    assert told == [(503, "starting\n"), (200, "ready\n"), (404, "draining\n")]


async def test_metrics_are_served_as_prometheus_reads_them() -> None:
    metrics.message_retrieved()
    async with serving(ops_app(lambda: "ready", own_registry), "127.0.0.1", 0) as url:
        status, text = await asyncio.to_thread(fetch, f"{url}/metrics")
    assert status == 200
    assert "poplar_messages_retrieved_total" in text
    assert "poplar_build_info{" in text


async def test_a_taken_port_is_named() -> None:
    app = ops_app(lambda: "ready", own_registry)
    async with serving(app, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match=f"port {port}"):
            async with serving(app, "127.0.0.1", port):
                raise AssertionError("two servers on one port")


async def test_the_port_is_free_again_after_the_block() -> None:
    app = ops_app(lambda: "ready", own_registry)
    async with serving(app, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
    async with serving(app, "127.0.0.1", port) as again:
        assert again == url


@pytest.mark.parametrize(("grace", "answer"), [(10.0, 200), (0.0, 500)])
async def test_a_request_under_way_has_the_grace_to_end_and_no_more(
    monkeypatch: pytest.MonkeyPatch, grace: float, answer: int
) -> None:
    monkeypatch.setattr(serving_module, "GRACE", 0.5)
    asked, over = asyncio.Event(), asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        asked.set()
        await over.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async with serving(slow, "127.0.0.1", 0, grace) as url:
        fetched = asyncio.create_task(asyncio.to_thread(fetch, url))
        await asked.wait()
        asyncio.get_running_loop().call_later(1.0, over.set)
    assert over.is_set() == (answer == 200)
    assert (await fetched)[0] == answer


async def test_an_idle_connection_keeps_no_process_for_the_grace() -> None:
    async with serving(ops_app(lambda: "ready", own_registry), "127.0.0.1", 0, grace=60.0) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readuntil(b"alive\n")
        began = time.monotonic()
    assert time.monotonic() - began < 30
    writer.close()


async def test_a_blocked_event_loop_shows_as_lag() -> None:
    lags: list[float] = []
    heard = asyncio.Event()

    def observe(seconds: float) -> None:
        lags.append(seconds)
        heard.set()

    task = asyncio.create_task(watch_loop_lag(observe, 0.01))
    await asyncio.sleep(0)
    began = time.perf_counter()
    while time.perf_counter() - began < 0.1:
        pass
    await heard.wait()
    task.cancel()
    assert lags[0] >= 0.05
