"""The event stream of real front ends: one session followed everywhere, sinks that fail, a kill. F1.

G15: a sink that hangs or a disk that is full holds up no login. RFC 1939 §6: what QUIT removed is told of.
"""

import asyncio
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cli.conftest import await_true
from tests.stores.receiver import SECRET, Receiver, receiving
from tests.system.clients.letters import LONE_DOTS, PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.front_end import FrontEnd, front_end


def told(path: Path) -> list[dict[str, Any]]:
    """Every event in the file, whose lines are all whole."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def session(maildrop: Maildrop, front: FrontEnd, *commands: bytes) -> bytes:
    """The answer to the login of a session that then says these commands."""
    wire, answer = maildrop.log_in(front.place())
    if answer.startswith(b"+OK"):
        for command in (*commands, b"QUIT"):
            assert wire.say(command).startswith(b"+OK")
    wire.close()
    return answer


@contextmanager
def receiver_aside() -> Iterator[Receiver]:
    """A receiver of webhooks on a loop of its own."""
    loop, ready, found = asyncio.new_event_loop(), threading.Event(), list[Receiver]()

    async def serve() -> None:
        async with receiving() as receiver:
            found.append(receiver)
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def test_one_session_is_followed_by_its_id_through_log_events_and_audit(maildrop: Maildrop, tmp_path: Path) -> None:
    maildrop.fill([PLAIN, LONE_DOTS])
    path = tmp_path / "events.jsonl"
    with front_end(maildrop.demo, tmp_path / "front", events={"file": str(path)}) as front:
        assert session(maildrop, front, b"DELE 2").startswith(b"+OK")
        assert front.command.end() == 0
        lines = [json.loads(line) for line in front.command.said.splitlines()]
    login, removal, end = told(path)
    (line,) = [line for line in lines if line["event"] == "session ended"]
    audit = json.loads(maildrop.demo.poplar("tenant", "audit", maildrop.account.tenant, "--json"))
    (entry,) = [e for e in audit if e["action"] == "messages.remove" and e["subject"] == maildrop.account.address]
    assert {login["session"], removal["session"], end["session"], line["session"]} == {entry["details"]["session"]}
    assert (login["kind"], removal["kind"], end["kind"]) == ("login", "removal", "end")
    assert (login["address"], login["tls"], login["credential"]) == (maildrop.account.address, "TLSv1.3", "main")
    assert (removal["removed"], end["removed"], entry["details"]["messages"]) == (1, 1, 1)


def test_a_front_end_killed_at_once_has_told_whole_events_of_all_sessions_but_the_last_moments(
    maildrop: Maildrop, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    with front_end(maildrop.demo, tmp_path / "front", events={"file": str(path)}) as front:
        for _ in range(5):
            session(maildrop, front)
        await_true(lambda: len(told(path)) >= 9, "the events of sessions before the last")
        session(maildrop, front)
        front.command.end(signal.SIGKILL)
    kinds = [event["kind"] for event in told(path)]
    assert kinds[:9] == ["login", "end"] * 4 + ["login"]


def test_a_webhook_that_hangs_holds_up_no_login_and_no_end(maildrop: Maildrop, tmp_path: Path) -> None:
    with receiver_aside() as receiver:
        receiver.answer = 0
        events = {
            "webhook": f"http://127.0.0.1:{receiver.port}/in",
            "webhook_secret": SECRET,
            "webhook_loopback_http": True,
            "flush": 0.1,
            "queue": 3,
        }
        with front_end(maildrop.demo, tmp_path / "front", events=events) as front:
            for _ in range(4):
                assert session(maildrop, front).startswith(b"+OK")
            assert front.command.end() == 0
            assert '"events were not taken before the end"' in front.command.said
            assert SECRET not in front.command.said
    assert receiver.requests > 0


def test_a_webhook_gets_what_waits_when_a_front_end_ends_in_order(maildrop: Maildrop, tmp_path: Path) -> None:
    with receiver_aside() as receiver:
        events = {"webhook": f"http://127.0.0.1:{receiver.port}/in", "webhook_secret": SECRET}
        with front_end(maildrop.demo, tmp_path / "f", events=events | {"webhook_loopback_http": True}) as front:
            session(maildrop, front)
            assert front.command.end() == 0
    assert [event["kind"] for body in receiver.bodies for event in body["events"]] == ["login", "end"]


def test_a_full_disk_holds_up_no_login_and_is_said_in_log_and_metrics(maildrop: Maildrop, tmp_path: Path) -> None:
    events = {"file": "/dev/full", "patience": 0.1, "flush": 0.5}
    with front_end(maildrop.demo, tmp_path / "front", events=events) as front:
        for _ in range(3):
            assert session(maildrop, front).startswith(b"+OK")
        front.command.await_said('"events are not taken"')
        await_true(lambda: dropped(front) > 0, "events to be dropped")
        assert front.command.end() == 0


def dropped(front: FrontEnd) -> float:
    (serving,) = [json.loads(line) for line in front.command.said.splitlines() if '"serving"' in line]
    text = httpx.get(f"{serving['http']}/metrics", timeout=60).text
    found = re.search(r'poplar_events_total\{outcome="dropped",sink="file"\} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_standard_output_carries_events_where_that_is_asked_for(maildrop: Maildrop, tmp_path: Path) -> None:
    with front_end(maildrop.demo, tmp_path / "front", events={"file": "-"}) as front:
        session(maildrop, front)
        front.command.await_said('"kind":"end"')
        assert front.command.end() == 0
