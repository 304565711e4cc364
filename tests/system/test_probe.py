"""`poplar probe` against a running Poplar: what RFC 1939 §5, RFC 2449 §5, RFC 2595 §4 and RFC 2033 §4.1 ask is seen."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.demo import Account, Place, RunningDemo
from tests.system.front_end import LMTP, POP3, FrontEnd, front_end

PROXIED = POP3 | {"proxy_protocol": "required", "trusted": ["127.0.0.0/8"]}
LISTENERS = (
    PROXIED | {"name": "own", "tls": "implicit"},
    PROXIED | {"name": "clear", "tls": "starttls"},
    PROXIED | {"name": "terminated", "tls": "terminated"},
)


@pytest.fixture(scope="module")
def behind_a_balancer(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    with front_end(demo, tmp_path_factory.mktemp("probed"), LISTENERS) as front:
        yield front


@pytest.fixture(scope="module")
def account(demo: RunningDemo) -> Account:
    return demo.new_account()


def probe(*arguments: str, password: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POPLAR_", "PROBE_"))}
    if password is not None:
        environment["PROBE_PASSWORD"] = password
    command = [sys.executable, "-m", "service", "probe", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def words(said: str) -> list[str]:
    return [line.partition(":")[0] for line in said.splitlines()]


@pytest.mark.parametrize("way", [("own", "implicit"), ("clear", "starttls"), ("terminated", "terminated")])
@pytest.mark.parametrize("client", ["203.0.113.7", "2001:db8::7"])
def test_it_logs_in_behind_a_proxy_header_and_says_each_step(
    behind_a_balancer: FrontEnd, demo: RunningDemo, account: Account, way: tuple[str, str], client: str
) -> None:
    listener, tls = way
    options = ["--tls", tls, "--proxy-from", client, "--ca", demo.ca_file, "--user", account.address]
    done = probe("pop3", str(behind_a_balancer.place(listener)), *options, password=account.password)
    assert done.returncode == 0, done.stderr
    assert [word for word in words(done.stdout) if word != "STLS"] == ["greeting", "CAPA", "login", "STAT", "QUIT"]
    assert ("STLS" in words(done.stdout)) == (tls == "starttls")
    behind_a_balancer.command.await_said(f'"client":"{client}"')


def test_without_its_header_a_listener_that_requires_one_fails_the_probe(behind_a_balancer: FrontEnd) -> None:
    done = probe("pop3", str(behind_a_balancer.place("clear")))
    assert done.returncode == 1
    assert done.stderr.startswith("poplar: ")


def test_the_password_may_come_from_a_file(demo: RunningDemo, account: Account, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(account.password + "\n", "utf-8")
    options = ["--tls", "starttls", "--ca", demo.ca_file, "--user", account.address, "--password-file", str(path)]
    assert "STAT" in words(probe("pop3", str(demo.place("pop3")), *options).stdout)


@pytest.mark.parametrize("way", [("pop3s", "implicit"), ("pop3", "starttls")])
def test_a_wrong_password_a_wrong_name_and_an_unknown_authority_fail_it(
    demo: RunningDemo, account: Account, way: tuple[str, str]
) -> None:
    listener, tls = way
    trusting = ["pop3", str(demo.place(listener)), "--tls", tls, "--ca", demo.ca_file]
    wrong = probe(*trusting, "--user", account.address, password="not the password")
    assert (wrong.returncode, wrong.stderr) == (1, "poplar: -ERR [AUTH] Authentication failed\n")
    assert "CERTIFICATE_VERIFY_FAILED" in probe(*trusting, "--server-name", "pop.elsewhere.example").stderr
    assert "CERTIFICATE_VERIFY_FAILED" in probe(*trusting[:4]).stderr
    assert probe(*trusting[:4], "--server-name", "*").returncode == 0


def test_a_name_without_a_password_is_wrong_usage(demo: RunningDemo) -> None:
    assert probe("pop3", str(demo.place("pop3")), "--user", "somebody").returncode == 2


def test_lmtp_and_the_ops_port_are_probed_too(demo: RunningDemo) -> None:
    done = probe("lmtp", str(demo.place("lmtp")))
    assert (done.returncode, words(done.stdout)) == (0, ["greeting", "LHLO", "QUIT"])
    ops = demo.ready["http"].removeprefix("http://")
    assert probe("http", ops).stdout == "/readyz: ready\n"
    refused = probe("http", ops, "/v1/tenants")
    assert (refused.returncode, refused.stderr[:28]) == (1, 'poplar: /v1/tenants: 401 {"t')
    assert demo.poplar("probe", "live") == "/livez: alive\n"


@pytest.mark.parametrize(("tls", "begun"), [("implicit", []), ("starttls", ["STARTTLS"])])
def test_lmtp_is_probed_over_tls(demo: RunningDemo, tmp_path: Path, tls: str, begun: list[str]) -> None:
    """RFC 3207 §4."""
    with front_end(demo, tmp_path / "lmtp", (LMTP | {"tls": tls},)) as front:
        trusting = ["lmtp", str(front.place("lmtp")), "--tls", tls, "--ca", demo.ca_file]
        done = probe(*trusting)
        assert (done.returncode, words(done.stdout)) == (0, ["greeting", *begun, "LHLO", "QUIT"]), done.stderr
        assert "CERTIFICATE_VERIFY_FAILED" in probe(*trusting, "--server-name", "mx.elsewhere.example").stderr
        assert probe(*trusting[:4], "--server-name", "*").returncode == 0


def test_lmtp_without_tls_fails_a_probe_that_wants_it(demo: RunningDemo) -> None:
    done = probe("lmtp", str(demo.place("lmtp")), "--tls", "starttls", "--ca", demo.ca_file)
    assert (done.returncode, done.stderr.startswith("poplar: ")) == (1, True)


@pytest.mark.parametrize("place", ["pop.example.org", "pop.example.org:", ":110", "pop.example.org:pop3"])
def test_a_place_without_host_or_port_is_wrong_usage(place: str) -> None:
    assert probe("pop3", place).returncode == 2


def test_nobody_there_is_told_in_one_line() -> None:
    done = probe("pop3", str(Place("127.0.0.1", 1)))
    assert (done.returncode, done.stderr) == (1, "poplar: Connection refused\n")
