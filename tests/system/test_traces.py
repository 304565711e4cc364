"""Traces of real processes, taken by a real receiver of OTLP: a session can be followed through every system it asks.

G17: no password, name, key or message text is in any span. A collector that hangs holds up no session and no end.
RFC 1939 §6 (the UPDATE state), RFC 2033 §4.2 (one reply a recipient), RFC 2595 §4 (STLS), RFC 9110 §9 (methods).
"""

import json
import os
import poplib
import re
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.policy import SMTP
from pathlib import Path
from typing import Any, get_args
from urllib.request import urlopen
from uuid import uuid4

import httpx
import pytest
import yaml

from service.net.pop3_steps import STEPS
from service.protocol.pop3 import effects
from service.telemetry.build import VERSION
from tests.backends.demo import RunningDemo
from tests.cli.conftest import Command, settings_file
from tests.system.clients.letters import LONE_DOTS, PLAIN
from tests.system.clients.maildrop import Maildrop, trusting
from tests.system.front_end import LMTP, STARTTLS, FrontEnd, front_end
from tests.telemetry.collector import Collector, Seen, collecting, under

TEXT = "From: ada@acme.example\r\nSubject: rosebud\r\n\r\nthe text of a letter\r\n"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NEVER_LOADED = ("service.telemetry.otlp", "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def to(collector: Collector, **more: object) -> dict[str, object]:
    return {"enabled": True, "endpoint": collector.endpoint, "ratio": 1.0, "tenants": True} | more


def one(spans: list[Seen], name: str) -> Seen:
    (found,) = [span for span in spans if span.name == name]
    return found


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def told_by(front: FrontEnd, name: str, **labels: str) -> float:
    """A metric's value, as a scrape reads it."""
    with urlopen(f"http://{front.ops}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    chosen = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}{{{re.escape(chosen)}}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def assert_nothing_private(collector: Collector, maildrop: Maildrop) -> None:
    """No octet of a password, a name, or a message is in anything that was sent."""
    sent = b"".join(collector.bodies)
    local, _, domain = maildrop.account.address.partition("@")
    for word in (maildrop.account.password, "not the password", local, domain, "the text of a letter", "rosebud"):
        assert word.encode() not in sent
    # Keys of blobs and of Redis hold tenants' and maildrops' ids; addresses of clients are people's, too.
    assert not re.search(rb"[0-9a-f]{32}/\d{4}/\d\d|lock:|session:|127\.0\.0\.1|SELECT|INSERT", sent)


@contextmanager
def session(maildrop: Maildrop, front: FrontEnd) -> Iterator[poplib.POP3]:
    """A session that begins in clear, with a wrong password before the right one; ended by QUIT."""
    place = front.place("clear")
    client = poplib.POP3(place.host, place.port, timeout=60)
    client.stls(trusting(maildrop.demo))
    client.user(maildrop.account.address)
    with pytest.raises(poplib.error_proto):
        client.pass_("not the password")
    client.user(maildrop.account.address)
    client.pass_(maildrop.account.password)
    yield client
    client.quit()


def test_one_session_is_one_trace_through_postgres_redis_hashing_and_the_store(
    maildrop: Maildrop, collector: Collector, tmp_path: Path
) -> None:
    maildrop.fill([PLAIN, LONE_DOTS])
    with front_end(maildrop.demo, tmp_path / "front", (STARTTLS,), traces=to(collector)) as front:
        with session(maildrop, front) as client:
            client.uidl()
            client.retr(1)
            client.top(2, 0)
            client.dele(1)
        assert front.command.end() == 0
        (line,) = [line for line in lines(front.command.said) if line["event"] == "session ended"]
    spans = collector.spans
    root = one(spans, "POP3 session")
    assert {span.trace_id for span in spans} == {line["trace_id"]}
    assert root.facts == {"poplar.session": line["session"], "poplar.listener": "clear"}
    steps = {span.name: span for span in under(spans, root)}
    assert list(steps) == ["STLS", "login", "listing", "RETR", "TOP", "UPDATE", "end of session"]
    within = {name: {span.name for span in under(spans, step)} for name, step in steps.items()}
    assert {"postgres directory.find", "passwords verify", "redis acquire", "postgres index.open"} <= within["login"]
    assert within["listing"] == {"postgres listing.listing"}
    assert within["RETR"] == {"postgres index.locate", "objects get"}
    assert {"postgres index.remove", "redis release"} <= within["UPDATE"]
    refused, opened = [span for span in spans if span.name == "login"]
    assert refused.facts == {"poplar.refusal": "credentials", "poplar.mechanism": "USER"}
    assert opened.facts == {"poplar.tenant": maildrop.account.tenant, "poplar.mechanism": "USER"}
    assert steps["end of session"].facts["poplar.removed"] == 1
    assert (root.service["service.name"], root.service["service.version"]) == ("poplar-front", VERSION)
    assert str(root.service["service.instance.id"]).endswith(f":{front.pid}")
    assert_nothing_private(collector, maildrop)


def test_a_delivery_is_one_trace_from_its_recipients_to_the_blob_and_the_rows(
    maildrop: Maildrop, collector: Collector, tmp_path: Path
) -> None:
    place = maildrop.account.address
    with front_end(maildrop.demo, tmp_path / "lmtp", (LMTP,), traces=to(collector)) as front:
        with smtplib.LMTP(str(front.place("lmtp").host), front.place("lmtp").port) as client:
            client.ehlo_or_helo_if_needed()
            options = ["SMTPUTF8"]
            client.send_message(
                message_from_string(TEXT, policy=SMTP), "ada@acme.example", [place, f"no-{place}"], options
            )
        assert front.command.end() == 0
        (line,) = [line for line in lines(front.command.said) if line["event"] == "delivered"]
    spans = collector.spans
    root = one(spans, "LMTP transaction")
    assert {span.trace_id for span in spans} == {line["trace_id"]}
    found, unknown, *_ = under(spans, root)
    assert (found.name, found.facts) == ("RCPT", {"poplar.tenant": maildrop.account.tenant})
    assert (unknown.name, unknown.facts) == ("RCPT", {"poplar.refusal": "no_recipient"})
    assert [span.name for span in under(spans, found)] == ["postgres deliveries.resolve_together"]
    end = one(spans, "end of mail data")
    put, append = under(spans, end)
    assert (put.name, append.name) == ("objects put", "postgres deliveries.append_together")
    assert end.parent == root.span_id
    assert put.ended <= append.begun
    assert (root.facts["poplar.stored"], root.facts["poplar.recipients"]) == (1, 1)
    assert_nothing_private(collector, maildrop)


@contextmanager
def api(demo: RunningDemo, folder: Path, traces: dict[str, object]) -> Iterator[tuple[str, Command]]:
    """The HTTP API over the demo's systems: its URL and its process."""
    settings = yaml.safe_load((demo.state / "state" / "poplar.yaml").read_text("utf-8"))
    settings |= {"traces": traces, "http": {"host": "127.0.0.1", "port": 0}}
    path = folder / "poplar.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}
    command = Command(["--config", str(path), "api"], environment, folder)
    try:
        command.await_said('"event":"serving"')
        yield next(line["http"] for line in lines(command.said) if line["event"] == "serving"), command
    finally:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


def test_a_request_of_the_api_goes_on_the_callers_trace_and_names_no_address(
    maildrop: Maildrop, collector: Collector, tmp_path: Path
) -> None:
    token = json.loads(maildrop.demo.poplar("token", "create", f"t-{uuid4().hex[:8]}", "--scope", "full", "--json"))
    headers = {"Authorization": f"Bearer {token['token']}", "traceparent": PARENT}
    path = f"/v1/tenants/{maildrop.account.tenant}/maildrops/{maildrop.account.address}"
    with api(maildrop.demo, tmp_path, to(collector)) as (url, command):
        assert httpx.get(url + path, headers=headers, timeout=60).status_code == 200
        assert httpx.get(url + path, timeout=60).status_code == 401
        assert httpx.get(f"{url}/livez", timeout=60).status_code == 200
        assert command.end() == 0
    asked, refused = [span for span in collector.spans if "http.route" in span.facts]
    _, trace_id, parent, _ = PARENT.split("-")
    assert (asked.trace_id, asked.parent, asked.error) == (trace_id, parent, None)
    assert asked.name == f"GET {asked.facts['http.route']}"
    assert asked.facts["http.route"] == "/tenants/{tenant}/maildrops/{address}"
    assert asked.facts["http.response.status_code"] == 200
    parts = under(collector.spans, asked)
    assert "postgres tokens.find" in {span.name for span in parts}
    statements = [
        each.name for span in parts if span.name == "postgres transaction" for each in under(collector.spans, span)
    ]
    assert statements == [each.name for each in collector.spans if each.name.startswith("postgres tenancy.")]
    assert (refused.name, refused.parent, refused.facts["http.response.status_code"]) == ("GET", "", 401)
    assert token["token"].encode() not in b"".join(collector.bodies)
    assert_nothing_private(collector, maildrop)


@pytest.mark.parametrize("ends", ["hangs", "refuses"])
def test_a_collector_that_fails_holds_up_no_session_and_no_end(
    maildrop: Maildrop, collector: Collector, tmp_path: Path, ends: str
) -> None:
    collector.status = 503
    if ends == "hangs":
        collector.hanging.set()
    traces = to(collector, queue=20, flush=0.1, deadline=60)
    with front_end(maildrop.demo, tmp_path / "front", traces=traces) as front:
        for _ in range(5):
            with maildrop.session(front.place()) as wire:
                assert wire.say(b"STAT").startswith(b"+OK")
        assert told_by(front, "poplar_spans_total", outcome="overflow") > 0
        assert told_by(front, "poplar_spans_total", outcome="exported") == 0
        assert front.command.end() == 0
        assert '"spans were not taken before the end"' in front.command.said
        assert front.command.said.count('"spans are lost"') == 1
        assert [line["end"] for line in lines(front.command.said) if line["event"] == "session ended"] == ["quit"] * 5


def test_a_store_that_fails_shows_as_a_failed_span_without_its_words(
    maildrop: Maildrop, collector: Collector, tmp_path: Path
) -> None:
    maildrop.fill([PLAIN])
    (tmp_path / "empty").mkdir()
    store = {"url": (tmp_path / "empty").as_uri()}
    with front_end(maildrop.demo, tmp_path / "f", traces=to(collector), object_store=store) as front:
        with maildrop.session(front.place()) as wire:
            assert wire.say(b"RETR 1").startswith(b"-ERR [SYS/")
        assert front.command.end() == 0
    retrieval = one(collector.spans, "RETR")
    assert (retrieval.error, retrieval.facts) == ("broken", {"poplar.refusal": "broken"})
    assert one(collector.spans, "objects get").error == "broken"
    assert_nothing_private(collector, maildrop)


def test_without_traces_nothing_of_them_is_loaded(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from service.app.running import running
from service.settings import load_settings
from pathlib import Path

async def run() -> None:
    async with running(load_settings(Path(sys.argv[1])), {"pop3", "lmtp", "api"}):
        print(*sorted(sys.modules), sep="\\n")

asyncio.run(run())
"""
    command = [sys.executable, "-c", program, str(settings_file(tmp_path, hostname="pop.example"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    loaded = done.stdout.splitlines()
    assert "service.net.pop3" in loaded
    assert [name for name in loaded if name.startswith(NEVER_LOADED)] == []


def test_every_effect_that_waits_has_a_name_in_traces() -> None:
    assert set(STEPS) == set(get_args(effects.Effect)) - {effects.Close}
