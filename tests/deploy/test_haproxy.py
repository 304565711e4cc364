"""The shipped HAProxy configuration in front of two real front ends: addresses, TLS facts, reload, drain.

RFC 8314 §3 (TLS first), RFC 2595 §4 (STLS), RFC 7301 §3.2 (ALPN).
"""

import json
import signal
import socket
import ssl
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml

from service.settings.listening import ListenerSettings
from tests.backends.demo import RunningDemo
from tests.backends.haproxy import SHIPPED, Haproxy, haproxy
from tests.cli.conftest import await_true
from tests.system.clients.maildrop import Maildrop, Wire, new_maildrop, trusting
from tests.system.front_end import POP3, FrontEnd, front_end

BEHIND = {"proxy_protocol": "required", "trusted": ["127.0.0.1/32"]}
LISTENERS = (
    POP3 | BEHIND | {"name": "pop3s", "tls": "terminated"},
    POP3 | BEHIND | {"name": "pop3", "tls": "starttls"},
)
DRAIN = {"announce": 30.0, "grace": 60.0}


@pytest.fixture
def maildrop(demo: RunningDemo) -> Maildrop:
    return new_maildrop(demo, "a password")


@contextmanager
def two_front_ends(demo: RunningDemo, folder: Path) -> Iterator[list[FrontEnd]]:
    limits = {"connections_per_address": 2}
    with (
        front_end(demo, folder / "one", LISTENERS, drain=DRAIN, limits=limits) as one,
        front_end(demo, folder / "two", LISTENERS, drain=DRAIN, limits=limits) as two,
    ):
        yield [one, two]


ON_THE_OPS_PORT = {"check port 8080": "check"}
ON_THE_PORT_ITSELF = {
    "option httpchk GET /routez": "",
    "http-check disable-on-404": "",
    "check port 8080": "check check-send-proxy",
}
"""As with node ports, of which none leads to the ops port."""


@contextmanager
def before(
    fronts: list[FrontEnd], demo: RunningDemo, folder: Path, checks: Mapping[str, str] = ON_THE_OPS_PORT
) -> Iterator[Haproxy]:
    certificates = folder / "certs"
    certificates.mkdir()
    state = demo.state / "state" / "certificates"
    chain, key = next(state.glob("*.crt")), next(state.glob("*.key"))
    (certificates / "all.pem").write_text(chain.read_text() + key.read_text())
    places = {}
    for n, front in enumerate(fronts, 1):
        for listener, port in (("pop3s", 10995), ("pop3", 10110)):
            asked = f" port {front.ops.port}" if checks is ON_THE_OPS_PORT else ""
            places[f"198.51.100.2{n}:{port}"] = f"{front.place(listener)}{asked}"
    with haproxy(folder, certificates, places | dict(checks)) as running:
        await_true(lambda: states(running) == ["UP"] * 4, "both front ends up")
        yield running


@pytest.fixture(scope="module")
def fronts(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FrontEnd]]:
    """For tests that leave both as they are."""
    with two_front_ends(demo, tmp_path_factory.mktemp("fronts")) as both:
        yield both


@pytest.fixture(scope="module")
def balancer(demo: RunningDemo, fronts: list[FrontEnd], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Haproxy]:
    with before(fronts, demo, tmp_path_factory.mktemp("haproxy")) as running:
        yield running


@pytest.fixture
def own_fronts(demo: RunningDemo, tmp_path: Path) -> Iterator[list[FrontEnd]]:
    """For a test that ends one."""
    with two_front_ends(demo, tmp_path) as both:
        yield both


@pytest.fixture
def own_balancer(demo: RunningDemo, own_fronts: list[FrontEnd], tmp_path: Path) -> Iterator[Haproxy]:
    with before(own_fronts, demo, tmp_path) as running:
        yield running


def states(running: Haproxy) -> list[str]:
    return [state for backend in ("pop3s", "pop3") for state in running.states(backend).values()]


def dialled(running: Haproxy, demo: RunningDemo, client: str = "127.0.0.1", alpn: str | None = None) -> Wire:
    """A client at this address of the loopback network, within TLS."""
    context = trusting(demo)
    if alpn:
        context.set_alpn_protocols([alpn])
    sock = socket.create_connection(("127.0.0.1", running.ports["pop3s"]), 60, (client, 0))
    wire = Wire(context.wrap_socket(sock, server_hostname="127.0.0.1"))
    assert wire.line().startswith(b"+OK")
    return wire


def logged_in(wire: Wire, maildrop: Maildrop) -> Wire:
    assert wire.say(b"USER " + maildrop.account.address.encode()).startswith(b"+OK")
    assert wire.say(b"PASS " + maildrop.account.password.encode()).startswith(b"+OK")
    return wire


def session_lines(front: FrontEnd) -> list[dict[str, object]]:
    lines = (json.loads(line) for line in front.command.said.splitlines() if '"session ended"' in line)
    return list(lines)


def lines_of(client: str, fronts: list[FrontEnd]) -> list[dict[str, object]]:
    return [line for front in fronts for line in session_lines(front) if line["client"] == client]


def test_the_clients_own_address_and_tls_facts_reach_the_session_log(
    balancer: Haproxy, demo: RunningDemo, fronts: list[FrontEnd], maildrop: Maildrop
) -> None:
    wire = logged_in(dialled(balancer, demo, "127.0.0.9", alpn="pop3"), maildrop)
    assert wire.sock.selected_alpn_protocol() == "pop3"  # type: ignore[attr-defined]
    assert wire.say(b"QUIT").startswith(b"+OK")
    wire.close()
    await_true(lambda: lines_of("127.0.0.9", fronts), "the session's line")
    [line] = lines_of("127.0.0.9", fronts)
    assert (line["end"], line["address"]) == ("quit", maildrop.account.address)
    assert line["tls"] == "TLSv1.3"
    assert str(line["cipher"]).startswith("TLS_")
    assert line["listener"] == "pop3s"


def test_a_client_that_names_another_protocol_goes_on_without_alpn(balancer: Haproxy, demo: RunningDemo) -> None:
    wire = dialled(balancer, demo, "127.0.0.10", alpn="imap")
    assert wire.sock.selected_alpn_protocol() is None  # type: ignore[attr-defined]
    assert wire.say(b"QUIT").startswith(b"+OK")
    wire.close()


def test_limits_count_the_client_and_not_the_balancer(balancer: Haproxy, demo: RunningDemo) -> None:
    kept = [dialled(balancer, demo, f"127.0.0.{n}") for n in range(20, 26)]
    for wire in kept:
        assert wire.say(b"NOOP").startswith(b"-ERR")
        wire.close()
    same = [socket.create_connection(("127.0.0.1", balancer.ports["pop3"]), 60, ("127.0.0.30", 0)) for _ in range(5)]
    greetings = [sock.makefile("rb").readline() for sock in same]
    for sock in same:
        sock.close()
    # Two front ends let in two each.
    assert [greeting.startswith(b"+OK") for greeting in greetings].count(True) == 4


def test_stls_ends_in_the_front_end(balancer: Haproxy, demo: RunningDemo, maildrop: Maildrop) -> None:
    sock = socket.create_connection(("127.0.0.1", balancer.ports["pop3"]), 60, ("127.0.0.11", 0))
    wire = Wire(sock)
    assert wire.line().startswith(b"+OK")
    assert wire.say(b"USER x") == b"-ERR TLS required\r\n"
    assert wire.say(b"STLS").startswith(b"+OK")
    private = Wire(trusting(demo).wrap_socket(sock, server_hostname="127.0.0.1"))
    logged_in(private, maildrop)
    assert private.say(b"QUIT").startswith(b"+OK")
    private.close()


def test_old_tls_is_refused(balancer: Haproxy, demo: RunningDemo) -> None:
    context = trusting(demo)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        closing(socket.create_connection(("127.0.0.1", balancer.ports["pop3s"]), 60)) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(sock, server_hostname="127.0.0.1")


def test_sessions_survive_a_reload_and_nobody_is_refused_meanwhile(
    balancer: Haproxy, demo: RunningDemo, maildrop: Maildrop
) -> None:
    wire = logged_in(dialled(balancer, demo), maildrop)
    for n in range(3):
        balancer.reload()
        other = dialled(balancer, demo, f"127.0.0.{40 + n}")
        assert other.say(b"QUIT").startswith(b"+OK")
        other.close()
        assert wire.say(b"STAT").startswith(b"+OK")
    assert wire.say(b"QUIT").startswith(b"+OK")
    wire.close()


def test_a_draining_front_end_gets_no_new_clients_and_keeps_those_it_has(
    own_balancer: Haproxy, demo: RunningDemo, own_fronts: list[FrontEnd], maildrop: Maildrop
) -> None:
    wire = logged_in(dialled(own_balancer, demo), maildrop)
    live = json.loads(demo.poplar("session", "list", "--json"))
    process = next(row["process"] for row in live if row["address"] == maildrop.account.address)
    mine = next(front for front in own_fronts if process.endswith(f":{front.pid}"))
    other = next(front for front in own_fronts if front is not mine)
    mine.command.process.send_signal(signal.SIGTERM)
    await_true(lambda: states(own_balancer).count("NOLB") == 2, "the drain to be noticed")
    for n in range(6):
        fresh = dialled(own_balancer, demo, f"127.0.0.{50 + n}")
        assert fresh.say(b"QUIT").startswith(b"+OK")
        fresh.close()
    await_true(lambda: len(session_lines(other)) == 6, "six sessions on the other front end")
    assert session_lines(mine) == []
    assert wire.say(b"STAT").startswith(b"+OK")
    assert wire.say(b"QUIT").startswith(b"+OK")
    wire.close()


def test_a_dead_front_end_costs_the_next_client_nothing(
    own_balancer: Haproxy, demo: RunningDemo, own_fronts: list[FrontEnd]
) -> None:
    own_fronts[0].command.process.kill()
    own_fronts[0].command.process.wait()
    for n in range(6):
        fresh = dialled(own_balancer, demo, f"127.0.0.{60 + n}")
        assert fresh.say(b"QUIT").startswith(b"+OK")
        fresh.close()


def test_where_the_ops_port_is_out_of_reach_the_listeners_themselves_are_checked(
    own_fronts: list[FrontEnd], demo: RunningDemo, tmp_path: Path
) -> None:
    with before(own_fronts, demo, tmp_path, ON_THE_PORT_ITSELF) as running:
        own_fronts[0].command.process.kill()
        own_fronts[0].command.process.wait()
        await_true(lambda: sorted(states(running)) == ["DOWN", "DOWN", "UP", "UP"], "its absence to be noticed")
        fresh = dialled(running, demo, "127.0.0.80")
        assert fresh.say(b"QUIT").startswith(b"+OK")
        fresh.close()


def test_haproxys_own_metrics_are_there(balancer: Haproxy) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{balancer.ports['metrics']}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    assert 'haproxy_server_status{proxy="pop3s",server="front-1",state="UP"} 1' in text


def test_the_listeners_that_the_configuration_asks_for_are_sound() -> None:
    lines = SHIPPED.read_text("utf-8").split("listeners:\n", 1)[1].splitlines()
    asked = [yaml.safe_load(line.lstrip("# -")) for line in lines if "protocol:" in line]
    for listener in asked:
        listener["proxy_protocol"] = str(listener["proxy_protocol"])
    found = [ListenerSettings(**listener) for listener in asked]
    assert [(each.port, each.tls, each.proxy_protocol) for each in found] == [
        (10995, "terminated", "required"),
        (10110, "starttls", "required"),
    ]
