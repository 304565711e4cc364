"""deploy/compose as a whole: mail through HAProxy and both front ends, faults of one, and what outlives a `down`.

It takes some minutes and an engine that runs containers, so it is asked for: by `make compose`, and by CI. With
stand-ins for the images where no registry answers (`standing_in.py`).
"""

import json
import os
import poplib
import smtplib
import ssl
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import await_true
from tests.deploy.composed import Composed, composed
from tests.deploy.test_compose import example

# The image is built once for these and for those of tests/image.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("image")]
ANNA, CARLA = ("anna@orchard.example", "ANNA_PASSWORD"), ("carla@harbour.example", "CARLA_PASSWORD")
PARTS = {"front-1:8080", "front-2:8080", "lmtp:8080", "api:8080", "sweep:8080"}


@pytest.fixture(scope="module")
def all_of_it(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    if os.environ.get("TEST_COMPOSE") != "1":
        pytest.skip("asked for by TEST_COMPOSE=1 or make compose: it takes minutes and Docker's engine")
    # What `built` leaves in the engine's cache is what Compose builds.
    docker, base, _ = (request.getfixturevalue(name) for name in ("docker_engine", "image_base", "built"))
    with composed(tmp_path_factory.mktemp("compose"), docker, base) as running:
        yield running


def deliver(running: Composed, account: tuple[str, str], subject: str) -> None:
    with smtplib.LMTP("127.0.0.1", running.ports["LMTP_PORT"], local_hostname="mx.example", timeout=60) as lmtp:
        assert lmtp.sendmail("me@example.org", [account[0]], f"Subject: {subject}\r\n\r\nHello.\r\n") == {}


def trusting(running: Composed) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(running.folder / "certs" / "localhost.crt"))


def logged_in(running: Composed, account: tuple[str, str], tls: bool = True) -> poplib.POP3:
    """A session through HAProxy: within TLS by port 995, or with STLS by port 110."""
    port = running.ports["POP3S_PORT" if tls else "POP3_PORT"]
    if tls:
        client: poplib.POP3 = poplib.POP3_SSL("localhost", port, timeout=60, context=trusting(running))
    else:
        client = poplib.POP3("localhost", port, timeout=60)
        client.stls(trusting(running))
    client.user(account[0])
    client.pass_(example()[account[1]])
    return client


def subjects(running: Composed, account: tuple[str, str]) -> list[str]:
    client = logged_in(running, account)
    count = client.stat()[0]
    lines = [line for number in range(1, count + 1) for line in client.retr(number)[1]]
    client.quit()
    return [line.removeprefix(b"Subject: ").decode() for line in lines if line.startswith(b"Subject: ")]


def asked(running: Composed, path: str) -> Any:
    url = f"http://127.0.0.1:{running.ports['PROMETHEUS_PORT']}/api/v1/{path}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)["data"]


@pytest.mark.parametrize("tls", [True, False])
def test_mail_flows_to_both_tenants_through_both_front_ends(all_of_it: Composed, tls: bool) -> None:
    before = [all_of_it.sessions(front) for front in ("front-1", "front-2")]
    deliver(all_of_it, ANNA, "first")
    deliver(all_of_it, CARLA, "first")
    # Two at a time: HAProxy gives the second to the front end with the fewest sessions.
    clients = [logged_in(all_of_it, account, tls) for account in (ANNA, CARLA)]
    for client in clients:
        assert client.stat()[0] == 1
        assert b"Hello." in client.retr(1)[1]
        client.dele(1)
        client.quit()
    for front, ended in zip(("front-1", "front-2"), before, strict=True):
        await_true(lambda: all_of_it.sessions(front) > ended, f"a session of {front}")  # noqa: B023 - called at once


def test_prometheus_sees_every_part_and_keeps_the_rules(all_of_it: Composed) -> None:
    def up() -> set[str]:
        found = asked(all_of_it, "query?query=up==1")["result"]
        return {each["metric"]["instance"] for each in found}

    await_true(lambda: up() == PARTS, "every part scraped")
    rules = [rule for group in asked(all_of_it, "rules")["groups"] for rule in group["rules"]]
    assert {"PoplarAbsent", "PoplarSweepLate"} <= {rule["name"] for rule in rules}
    await_true(
        lambda: {rule["health"] for group in asked(all_of_it, "rules")["groups"] for rule in group["rules"]} == {"ok"},
        "every rule evaluated",
    )


def test_the_operators_commands_run_beside_it(all_of_it: Composed) -> None:
    assert "orchard" in all_of_it("run", "--rm", "poplar", "tenant", "list")


def await_serving(running: Composed, front: str) -> None:
    """Until HAProxy gives this front end sessions again: two at a time, of which the second goes to the idler one."""
    before = running.sessions(front)

    def has_served() -> bool:
        for client in [logged_in(running, account) for account in (ANNA, CARLA)]:
            client.quit()
        return running.sessions(front) > before

    await_true(has_served, f"{front} serves again")


def test_a_front_end_that_restarts_or_dies_keeps_nobody_from_mail(all_of_it: Composed) -> None:
    deliver(all_of_it, ANNA, "kept")
    all_of_it("restart", "front-1")
    assert subjects(all_of_it, ANNA) == ["kept"]
    # With both away nobody could be served.
    await_serving(all_of_it, "front-1")
    all_of_it("kill", "front-2")
    for _ in range(3):
        assert subjects(all_of_it, ANNA) == ["kept"]
    all_of_it("up", "--detach", "--wait")
    await_serving(all_of_it, "front-2")


def test_mail_and_metrics_outlive_a_down(all_of_it: Composed) -> None:
    deliver(all_of_it, CARLA, "kept")
    before = len(asked(all_of_it, "query?query=count_over_time(up[1h])")["result"])
    all_of_it("down")
    all_of_it("up", "--detach", "--wait")
    # HAProxy would have no clients for them for some seconds.
    assert "is DOWN" not in all_of_it("logs", "haproxy")
    assert subjects(all_of_it, CARLA) == ["kept"]
    assert len(asked(all_of_it, "query?query=count_over_time(up[1h])")["result"]) == before
