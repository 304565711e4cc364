"""Spans: what stands in one, what is lost and counted, and that nothing waits for whoever takes them. G17."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from service.app.traces import QUIET_SECONDS, Telling, open_tracer, options_of, whole_url
from service.model.refusal import Reason, Refusal
from service.settings import Settings, SettingsError
from service.settings.traces import TracesSettings
from service.telemetry import sharing, spans
from service.telemetry.logs import SessionLog
from service.telemetry.otlp import OtlpTracer, TraceOptions
from service.telemetry.session_trace import MOST_STEPS, SessionTrace, TransactionTrace
from service.telemetry.spans import CURRENT, NOTHING, Untraced
from tests.telemetry.collector import Collector, collecting, under
from tests.telemetry.written import Lines, lines_written

REMOTE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{REMOTE}-b7ad6b7169203331"


class Lost(Counter[str]):
    """What became of spans."""

    def __call__(self, outcome: str, count: int) -> None:
        self[outcome] += count


@pytest.fixture
def lines() -> Iterator[Lines]:
    with lines_written() as lines:
        yield lines


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def tracer(collector: Collector, lost: Lost, **more: object) -> OtlpTracer:
    settings = TracesSettings.model_validate({"endpoint": collector.endpoint, "ratio": 1.0} | more)
    return OtlpTracer({"service.name": "poplar-front"}, options_of(settings), lost)


def test_where_nothing_is_traced_a_step_is_always_the_same_nothing() -> None:
    trace = SessionTrace(Untraced(), "POP3 session", lambda _: None)
    with trace.step("login") as login, spans.step("inside") as inside:
        spans.note(octets=1)
        spans.past("earlier", 1.0)
    assert login is inside is NOTHING
    assert CURRENT.get() is NOTHING


def test_a_span_tells_a_refusals_reason_and_never_its_cause(collector: Collector) -> None:
    traced = tracer(collector, Lost())
    with traced.begin("ours") as ours:
        ours.refused(Refusal(Reason.UNAVAILABLE, "anna@orchard.example is away"))
    with pytest.raises(Refusal), traced.begin("theirs"):
        raise Refusal(Reason.CREDENTIALS, "no such account as anna")
    with pytest.raises(KeyError), traced.begin("a defect"):
        raise KeyError("anna")
    with pytest.raises(ConnectionResetError), traced.begin("a client that left"):
        raise ConnectionResetError("anna")
    assert traced.close(30)
    found = {span.name: span for span in collector.spans}
    assert (found["ours"].error, found["ours"].facts["poplar.refusal"]) == ("unavailable", "unavailable")
    assert (found["theirs"].error, found["theirs"].facts["poplar.refusal"]) == (None, "credentials")
    assert (found["a defect"].error, found["a defect"].facts["error.type"]) == ("KeyError", "KeyError")
    assert (found["a client that left"].error, found["a client that left"].facts["error.type"]) == (
        None,
        "ConnectionResetError",
    )
    assert not any(b"anna" in body for body in collector.bodies)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_tenant_is_named_only_where_that_is_wanted(collector: Collector, wanted: bool) -> None:
    traced = tracer(collector, Lost(), tenants=wanted)
    with traced.begin("login") as login:
        login.note(tenant="orchard", octets=3)
    assert traced.close(30)
    (span,) = collector.spans
    assert span.facts == {"poplar.octets": 3} | ({"poplar.tenant": "orchard"} if wanted else {})


async def test_what_a_task_does_stands_under_the_step_that_began_it(collector: Collector) -> None:
    async def elsewhere() -> None:
        with spans.step("elsewhere"):
            await asyncio.sleep(0)

    traced = tracer(collector, Lost())
    with traced.begin("root"):
        with spans.step("first"):
            task = asyncio.create_task(elsewhere())
        with spans.step("second"):
            await task
        sharing.waited("hashing", 0.5)
        sharing.waited("hashing", 0.0001)
        sharing.waited("loop", 0.5)
    assert await asyncio.to_thread(traced.close, 30)
    seen = collector.spans
    (root,), (first,) = [[span for span in seen if span.name == name] for name in ("root", "first")]
    assert {span.name for span in under(seen, root)} == {"first", "second", "turn at hashing"}
    assert [span.name for span in under(seen, first)] == ["elsewhere"]
    (turn,) = [span for span in seen if span.name == "turn at hashing"]
    assert turn.ended - turn.begun == 500_000_000


def test_a_session_begun_in_the_turn_of_another_has_nothing_of_its_trace(collector: Collector, lines: Lines) -> None:
    traced = tracer(collector, Lost())
    one = SessionLog("one", "pop3")
    trace = SessionTrace(traced, "POP3 session", one.traced)
    with trace.step("login"):
        pass
    own = one.context
    library = logging.getLogger("library").warning
    own.run(library, "of the one")
    with traced.begin("theirs"):
        theirs = own.run(SessionLog, "other", "pop3").context
        assert theirs.run(CURRENT.get) is NOTHING
    theirs.run(library, "of the other")
    first, second = lines()
    assert first["session"] == "one"
    assert first["trace_id"]
    assert second["session"] == "other"
    assert "trace_id" not in second


def test_a_sessions_first_span_is_sent_while_it_goes_on(collector: Collector) -> None:
    told: list[str] = []
    traced = tracer(collector, Lost())
    trace = SessionTrace(traced, "POP3 session", told.append, session="s1")
    trace.arrived()
    with trace.step("login"):
        pass
    seen = collector.await_spans("POP3 session", "login")
    assert [span.name for span in seen] == ["POP3 session", "login"]
    assert {span.trace_id for span in seen} == set(told)
    trace.ended(end="quit")
    assert traced.close(30)
    assert collector.spans[-1].facts == {"poplar.end": "quit"}
    assert collector.spans[-1].parent == seen[0].span_id


def test_a_session_in_which_nothing_waited_makes_no_trace(collector: Collector) -> None:
    traced = tracer(collector, Lost())
    trace = SessionTrace(traced, "POP3 session", lambda _: None)
    trace.arrived()
    trace.ended(end="vanished")
    TransactionTrace(traced, "LMTP transaction", lambda _: None).ended(end="quit")
    assert traced.close(30)
    assert collector.bodies == []


def test_no_trace_of_a_session_grows_beyond_its_steps(collector: Collector) -> None:
    told: list[str] = []
    traced = tracer(collector, Lost())
    trace = SessionTrace(traced, "POP3 session", told.append, session="s1")
    for _ in range(MOST_STEPS + 1):
        with trace.step("RETR"):
            pass
    trace.ended()
    assert traced.close(30)
    steps = Counter(span.trace_id for span in collector.spans if span.name == "RETR")
    assert [steps[trace_id] for trace_id in told] == [MOST_STEPS, 1]
    roots = [span for span in collector.spans if not span.parent]
    assert [span.facts["poplar.session"] for span in roots] == ["s1", "s1"]
    assert collector.spans[-1].trace_id == told[-1]


def test_each_transaction_of_a_connection_is_a_trace_of_its_own(collector: Collector) -> None:
    traced = tracer(collector, Lost())
    trace = TransactionTrace(traced, "LMTP transaction", lambda _: None)
    for stored in (1, 2):
        with trace.step("RCPT"):
            pass
        trace.inside()
        with spans.step("objects put"):
            pass
        CURRENT.set(NOTHING)
        trace.ended(stored=stored)
    trace.ended(end="quit")
    assert traced.close(30)
    roots = [span for span in collector.spans if not span.parent]
    assert [root.facts["poplar.stored"] for root in roots] == [1, 2]
    for root in roots:
        assert {span.name for span in under(collector.spans, root)} == {"RCPT", "objects put"}


def test_sampling_is_decided_at_the_head_and_nobody_else_can_ask_for_more(collector: Collector) -> None:
    told: list[str] = []
    none = tracer(collector, Lost(), ratio=0.0)
    trace = SessionTrace(none, "POP3 session", told.append)
    with trace.step("login") as login:
        assert login is NOTHING
    assert told == [""]
    assert none.begin("GET", parent=f"{PARENT}-01") is NOTHING
    # An id that a sampler by the trace's id would take at any ratio.
    assert none.begin("GET", parent=f"00-{REMOTE[:16]}{'0' * 15}1-b7ad6b7169203331-01") is NOTHING
    assert none.close(30)
    every = tracer(collector, Lost())
    with every.begin("GET", parent=f"{PARENT}-01"):
        pass
    assert every.begin("GET", parent=f"{PARENT}-00") is NOTHING
    with every.begin("PUT", parent="00-nonsense"):
        pass
    assert every.close(30)
    get, put = collector.spans
    assert (get.name, get.trace_id, get.parent) == ("GET", REMOTE, "b7ad6b7169203331")
    assert (put.name, put.parent) == ("PUT", "")


def test_what_is_no_traceparent_is_drawn_for_once_as_if_there_were_none(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = tracer(collector, Lost(), ratio=0.5)
    monkeypatch.setattr(some, "_drawn", lambda: False)
    begun = [some.begin("GET", parent="00-nonsense") for _ in range(100)]
    assert any(span is not NOTHING for span in begun)
    assert some.begin("GET", parent=f"{PARENT}-01") is NOTHING
    assert some.close(30)


def test_spans_beyond_the_queue_are_dropped_and_counted(collector: Collector) -> None:
    lost = Lost()
    collector.hanging.set()
    traced = tracer(collector, lost, queue=5, deadline=60.0)
    for _ in range(8):
        traced.begin("login").end()
    assert lost == {"overflow": 3}
    assert not traced.close(0.01)
    assert lost == {"overflow": 3, "unflushed": 5}


def test_a_collector_that_refuses_or_is_away_loses_spans_that_are_counted(collector: Collector) -> None:
    lost = Lost()
    collector.status = 400
    refused = tracer(collector, lost)
    refused.begin("login").end()
    assert refused.close(30)
    assert lost == {"failed": 1}
    nowhere = OtlpTracer({}, TraceOptions(endpoint="http://127.0.0.1:1/v1/traces", deadline=0.1), lost)
    nowhere.begin("login").end()
    assert nowhere.close(30)
    assert lost == {"failed": 2}


def test_the_collector_gets_the_headers_it_wants_and_hears_who_sends(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=poplar-pop3-1")
    lost = Lost()
    traced = tracer(collector, lost, headers="Authorization=Bearer%20abc,x-scope=poplar")
    traced.begin("login").end()
    assert traced.close(30)
    assert lost == {"exported": 1}
    (headers,) = collector.headers
    named = {name.lower(): value for name, value in headers.items()}
    assert (named["authorization"], named["x-scope"]) == ("Bearer abc", "poplar")
    (span,) = collector.spans
    assert (span.service["service.name"], span.service["k8s.pod.name"]) == ("poplar-front", "poplar-pop3-1")


def test_lost_spans_are_told_of_once_a_minute_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    now = 1000.0
    telling = Telling(lambda: now)
    for outcome in ("exported", "overflow", "overflow", "failed"):
        telling(outcome, 1)
    assert capsys.readouterr().out.count("spans are lost") == 1
    now += QUIET_SECONDS
    telling("failed", 1)
    assert capsys.readouterr().out.count("spans are lost") == 1


@pytest.mark.parametrize(
    ("endpoint", "whole"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://vendor.example/otlp/v1/traces", "https://vendor.example/otlp/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_the_usual_one(endpoint: str, whole: str) -> None:
    assert whole_url(endpoint) == whole


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317", "http://a:b@collector", "http://"])
def test_an_endpoint_that_cant_be_one_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="must be an http"):
        TracesSettings(endpoint=endpoint)


def test_an_authority_that_cant_be_read_is_a_mistake_in_the_settings() -> None:
    settings = TracesSettings.model_validate({"enabled": True, "ca": "/nowhere/ca.pem"})
    with pytest.raises(SettingsError, match=r"traces\.ca"):
        options_of(settings)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_tracer_that_cant_be_closed_holds_up_no_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: OtlpTracer, _seconds: float) -> bool:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(OtlpTracer, "close", fail)
    settings = Settings.model_validate({"traces": {"enabled": True, "endpoint": collector.endpoint}})
    async with asyncio.timeout(30):
        async with open_tracer(settings, ["pop3"]):
            pass
    assert "spans were not taken before the end" in capsys.readouterr().out
