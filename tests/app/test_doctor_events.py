"""What the doctor says of the event stream's sinks: no event is sent, no file made."""

import os
from pathlib import Path

import pytest

from service.app.doctor import Finding, examine
from tests.app.conftest import Make
from tests.stores.receiver import SECRET, receiving


async def told(make: Make, **events: object) -> Finding:
    (finding,) = [each for each in await examine(make(events=events)) if each.subject == "events"]
    return finding


async def test_a_file_that_can_be_written_is_good_and_not_made(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert (await told(make, file=str(path))).state == "good"
    assert not os.path.exists(path)  # noqa: PTH110, ASYNC240 - a test may wait for its disk


@pytest.mark.parametrize("place", ["missing/events.jsonl", "."])
async def test_a_file_that_can_not_be_written_is_doubtful(make: Make, tmp_path: Path, place: str) -> None:
    finding = await told(make, file=str(tmp_path / place))
    assert finding.state == "doubtful"
    assert "events.file" in finding.advice


@pytest.mark.parametrize(("answer", "advice"), [(204, ""), (401, "webhook_secret"), (503, "tried again")])
async def test_a_webhook_is_asked_with_a_signed_batch_without_events(make: Make, answer: int, advice: str) -> None:
    async with receiving() as receiver:
        receiver.answer = answer
        url = f"http://127.0.0.1:{receiver.port}/in"
        finding = await told(make, webhook=url, webhook_secret=SECRET, webhook_loopback_http=True)
    assert finding.state == ("good" if answer == 204 else "doubtful")
    assert advice in finding.advice
    assert receiver.sessions == []
    assert receiver.requests == 1


async def test_where_no_sink_is_set_nothing_is_said(make: Make) -> None:
    assert [finding for finding in await examine(make()) if finding.subject == "events"] == []
