"""Requests of the HTTP API are counted by closed sets, those too that nobody answered. G17."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from service.telemetry.http_metrics import CountedRequests


async def nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def into_nowhere(_message: Message) -> None:
    pass


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("status", "outcome", "code"), [(201, "ok", "201"), (503, "failed", "503"), (418, "refused", "other")]
)
async def test_g17_an_answer_is_counted_by_its_status_and_a_strange_method_is_other(
    status: int, outcome: str, code: str
) -> None:
    async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    asked = (
        ("poplar_api_responses_total", {"code": code}),
        ("poplar_api_seconds_count", {"method": "other", "outcome": outcome}),
    )
    before = [count(name, **labels) for name, labels in asked]
    await CountedRequests(answering)({"type": "http", "method": "BREW"}, nothing_more, into_nowhere)
    assert [count(name, **labels) - was for (name, labels), was in zip(asked, before, strict=True)] == [1, 1]


async def test_a_request_that_nobody_answered_is_cut() -> None:
    async def gone(*_: Any) -> None:
        raise ConnectionError

    counted = CountedRequests(gone)
    before = count("poplar_api_seconds_count", method="GET", outcome="cut")
    with pytest.raises(ConnectionError):
        await counted({"type": "http", "method": "GET"}, nothing_more, into_nowhere)
    assert count("poplar_api_seconds_count", method="GET", outcome="cut") == before + 1
