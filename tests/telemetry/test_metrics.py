"""G17: the number of series does not grow with users, tenants or what clients type; every name is closed."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from service.model.ending import Ending
from service.net.listener import Rejection
from service.protocol.lmtp.commands import COMMANDS
from service.protocol.pop3.table import TABLE
from service.protocol.sasl.mechanisms import MECHANISMS
from service.telemetry import labels, metrics, systems
from service.telemetry.registries import worker_environment, workers_registry
from service.telemetry.sessions import sessions_of


def value(name: str, **chosen: str) -> float:
    return REGISTRY.get_sample_value(name, chosen) or 0.0


def series() -> set[str]:
    return {f"{sample.name}{sample.labels}" for family in REGISTRY.collect() for sample in family.samples}


@pytest.fixture
def listener(request: pytest.FixtureRequest) -> str:
    """A listener's name that no other test counts on."""
    return str(request.node.name)[:32]


def test_a_session_is_counted_in_the_state_it_is_in(listener: str) -> None:
    sessions = sessions_of(listener)
    sessions.states["authorization"](1)
    sessions.states["authorization"](-1)
    sessions.states["transaction"](1)
    assert value("poplar_sessions", listener=listener, state="authorization") == 0
    assert value("poplar_sessions", listener=listener, state="transaction") == 1
    sessions.states["transaction"](-1)
    sessions.seconds["quit"](2.0)
    assert value("poplar_sessions", listener=listener, state="transaction") == 0
    assert value("poplar_session_seconds_count", listener=listener, end="quit") == 1


def test_what_a_client_types_makes_no_series() -> None:
    metrics.command("XYZZY", "perhaps", 0.1)
    metrics.answered["XYZZY", True](0.1)
    metrics.logins["MY-MECHANISM", "because"](0.1)
    metrics.lmtp_command("EXPN", 299, 0.1)
    metrics.delivered("because", 1)
    sessions = sessions_of("typed")
    sessions.states["because"](1)
    sessions.seconds["because"](1)
    before = series()
    for word in ("GET", "password", "anna@orchard.example", "\x00"):
        metrics.command(word, word, 0.1)
        metrics.answered[word, True](0.1)
        metrics.logins[word, word](0.1)
        metrics.lmtp_command(word, len(word), 0.1)
        metrics.delivered(word, 1)
        sessions.states[word](1)
        sessions.seconds[word](1)
    assert series() == before


def test_a_command_is_counted_by_verb_and_result() -> None:
    before = value("poplar_command_seconds_count", verb="UIDL", result="err")
    metrics.command("UIDL", "err", 0.01)
    assert value("poplar_command_seconds_count", verb="UIDL", result="err") == before + 1


def test_a_command_that_was_answered_is_counted_as_ok_or_err() -> None:
    chosen = [{"verb": "UIDL", "result": result} for result in ("ok", "err")]
    before = [value("poplar_command_seconds_count", **each) for each in chosen]
    for well in (True, False, True):
        metrics.answered["UIDL", well](0.01)
    after = [value("poplar_command_seconds_count", **each) for each in chosen]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1]


def test_the_labels_know_every_command_mechanism_end_and_rejection() -> None:
    assert {keyword.decode() for keyword in TABLE} <= labels.VERBS
    assert set(MECHANISMS) <= labels.MECHANISMS
    assert {ending.value for ending in Ending} == labels.ENDS
    assert set(COMMANDS) <= labels.LMTP_VERBS
    assert {rejection.value for rejection in Rejection} <= labels.REJECTIONS


def test_no_histogram_has_more_than_a_thousand_series() -> None:
    sizes = {
        "commands": len(list(product(labels.VERBS, labels.RESULTS))),
        "logins": len(list(product(labels.MECHANISMS, labels.LOGIN_RESULTS))),
        "lmtp": len(list(product(labels.LMTP_VERBS, labels.LMTP_CODES))),
    }
    assert max(sizes.values()) < 400


def test_a_process_that_never_swept_and_has_no_certificate_states_no_time_of_either() -> None:
    """Such a 0 would make every alert on the time since then fire."""
    scrape = "from prometheus_client import generate_latest as g; from service.telemetry import metrics; print(g())"
    told = subprocess.run([sys.executable, "-c", scrape], capture_output=True, check=True, text=True).stdout
    assert "poplar_build_info" in told
    assert "timestamp_seconds" not in told


def test_a_process_with_several_workers_drains_once(tmp_path: Path) -> None:
    """The alert looks for 1."""
    for _ in range(2):
        drain = "from service.telemetry import metrics; metrics.draining()"
        subprocess.run([sys.executable, "-c", drain], check=True, env=worker_environment(tmp_path))
    assert workers_registry(tmp_path).get_sample_value("poplar_draining") == 1


def test_a_delivery_refused_adds_no_octets() -> None:
    before = value("poplar_message_octets_count")
    metrics.delivered("over_quota", 10)
    assert value("poplar_message_octets_count") == before
    metrics.delivered("stored", 10)
    assert value("poplar_message_octets_count") == before + 1


def test_a_pool_shows_busy_idle_and_waiting() -> None:
    systems.pool("sweep", 3, 2, 1)
    assert value("poplar_pool_connections", role="sweep", use="busy") == 3
    assert value("poplar_pool_connections", role="sweep", use="idle") == 2
    assert value("poplar_pool_waiting", role="sweep") == 1
