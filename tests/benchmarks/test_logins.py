"""Hot paths of a login and of a session's end, each by itself and without another system.

Owns one benchmark for each path. `make bench` times them; `make test` runs each once and asserts what it comes to,
never how long it takes.
RFC 1939 §4 (AUTHORIZATION), §3 (autologout).
"""

import io
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from pytest_benchmark.fixture import BenchmarkFixture

from service.app.clock import SystemClock
from service.mail.turns import Bounds, Turns
from service.mail.verdicts import Verdicts
from service.model.account import Credential, MaildropKey
from service.model.address import parse_address
from service.net.peer import Peer
from service.net.session_line import line_of
from service.stores.redis.scripts import ACQUIRE, RELEASE, packed
from service.telemetry.later import Histogram
from service.telemetry.logs import SessionLog, configure

KEY = MaildropKey(UUID(int=1), UUID(int=2))
VERIFIER = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"


def test_a_password_that_was_right_a_moment_ago(benchmark: BenchmarkFixture) -> None:
    credential = Credential(UUID(int=3), "password", VERIFIER, "")
    verdicts = Verdicts(SystemClock())
    verdicts.remember(KEY, credential, "correct horse")
    assert benchmark(verdicts.recall, KEY, [credential], "correct horse") is credential


def test_the_address_that_a_client_logs_in_with(benchmark: BenchmarkFixture) -> None:
    assert benchmark(parse_address, "ada.lovelace@Example.org").domain == "example.org"


def test_a_turn_among_eight_tenants(benchmark: BenchmarkFixture) -> None:
    turns, tenants = Turns("loop", Bounds(4, most=0.5)), [UUID(int=number) for number in range(8)]

    def round_of_all() -> int:
        taken = 0
        for tenant in tenants:
            taken += turns.try_take(tenant)
            turns.give_back(tenant)
        return taken

    assert benchmark(round_of_all) == len(tenants)


def test_a_pipeline_of_a_lease_and_its_release(benchmark: BenchmarkFixture) -> None:
    keys, token = ("poplar:{1}:lock", "poplar:{1}:session"), "f" * 32
    commands = [ACQUIRE.on(keys, token, 10_000, "{}"), RELEASE.on(keys, token)]
    assert benchmark(packed, commands).count(b"EVALSHA") == len(commands)


def test_a_thousand_observations_of_a_histogram(benchmark: BenchmarkFixture) -> None:
    histogram = Histogram("poplar_benchmark_seconds", "Only here.", registry=None)

    def observed() -> None:
        for _ in range(1_000):
            histogram.observe(0.002)
        histogram.flush()

    benchmark(observed)
    assert next(s.value for m in histogram.collect() for s in m.samples if s.name.endswith("_count")) % 1_000 == 0


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where the log's lines go, as JSON."""
    written, handlers = io.StringIO(), logging.getLogger().handlers[:]
    configure("json", "info", written)
    yield written
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def test_the_line_at_a_session_s_end(benchmark: BenchmarkFixture, out: io.StringIO) -> None:
    log = SessionLog("0123456789abcdef", "pop3s")
    log.bind("acme", "ada@example.org")
    peer = Peer("192.0.2.7", 1, "pop3s")

    def ended() -> None:
        out.seek(0)
        out.truncate()
        log.ended(f'{line_of("pop3", peer, "quit")},"seconds":1.25,"commands":4,"octets_in":40')

    benchmark(ended)
    assert '"end":"quit"' in out.getvalue()
