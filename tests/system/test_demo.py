"""`poplar demo` does what it shows: a newcomer's first minute, from start to Ctrl-C.

Proves the ready file's shape, the command lines on the screen, mail over STLS and implicit TLS (RFC 2595 §4,
RFC 8314 §3.1), the warm start and the end that leaves nothing behind.
"""

import json
import poplib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from service.embedded.corpus import Post, all_letters
from tests.backends.demo import Account, RunningDemo, all_gone, demo_on, offspring, started


def trust(demo: RunningDemo) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=demo.ca_file)


def over_tls(demo: RunningDemo) -> poplib.POP3:
    place = demo.place("pop3s")
    return poplib.POP3_SSL(place.host, place.port, context=trust(demo), timeout=30)


def over_stls(demo: RunningDemo) -> poplib.POP3:
    place = demo.place("pop3")
    client = poplib.POP3(place.host, place.port, timeout=30)
    client.stls(trust(demo))
    return client


WAYS: dict[str, Callable[[RunningDemo], poplib.POP3]] = {"stls": over_stls, "tls": over_tls}


@contextmanager
def session(demo: RunningDemo, account: Account, way: str = "tls") -> Iterator[poplib.POP3]:
    """A session after its login; a test that fails leaves no maildrop held."""
    client = WAYS[way](demo)
    with closing(client):
        client.user(account.address)
        client.pass_(account.password)
        yield client
        client.quit()


def unique_ids(demo: RunningDemo) -> dict[str, list[bytes]]:
    found = {}
    for account in demo.accounts:
        with session(demo, account) as client:
            found[account.address] = client.uidl()[1]
    return found


def run(line: str, told: str = "") -> str:
    done = subprocess.run(["sh", "-c", line], input=told, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_the_ready_file_has_its_shape(demo: RunningDemo) -> None:
    names = {"pop3", "pop3s", "lmtp", "http", "ca_file", "postgres", "redis", "accounts"}
    assert set(demo.ready) == names
    assert all(set(demo.ready[name]) == {"host", "port"} for name in ("pop3", "pop3s", "lmtp"))
    assert all(set(account) == {"tenant", "address", "password"} for account in demo.ready["accounts"])
    assert urlsplit(demo.ready["http"]).path == ""
    assert Path(demo.ca_file).is_absolute()


def test_there_are_two_tenants_with_two_maildrops_each(demo: RunningDemo) -> None:
    tenants = [account.tenant for account in demo.accounts]
    assert len(tenants) == 4
    assert all(tenants.count(tenant) == 2 for tenant in tenants)


def test_at_least_forty_messages_wait(demo: RunningDemo) -> None:
    assert sum(map(len, unique_ids(demo).values())) >= 40


@pytest.mark.parametrize("way", WAYS)
def test_every_letter_comes_back_octet_for_octet(demo: RunningDemo, way: str) -> None:
    addresses = [account.address for account in demo.accounts]
    letters = all_letters(Post((addresses[0], addresses[1]), (addresses[2], addresses[3])))
    meant = [letter.content for letter in letters if _reaches(letter.recipients, addresses[0])]
    with session(demo, demo.accounts[0], way) as client:
        for number, content in enumerate(meant, 1):
            got = b"".join(line + b"\r\n" for line in client.retr(number)[1])
            assert got.endswith(content)
            assert b"Delivered-To:" in got[: -len(content)]


def _reaches(recipients: tuple[str, ...], address: str) -> bool:
    return any(recipient.replace("+shop", "") == address for recipient in recipients)


async def test_postgres_and_valkey_are_open_to_outside_programs(demo: RunningDemo) -> None:
    connection = await asyncpg.connect(demo.ready["postgres"])
    assert await connection.fetchval("SELECT count(*) FROM maildrops") >= 4
    await connection.close()
    with redis.Redis.from_url(demo.ready["redis"]) as client:
        assert client.ping()


def test_metrics_and_health_answer(demo: RunningDemo) -> None:
    for path, wanted in (("/metrics", b"poplar_"), ("/livez", b""), ("/readyz", b"")):
        with urllib.request.urlopen(demo.ready["http"] + path, timeout=30) as answer:  # noqa: S310
            assert answer.status == 200
            assert wanted in answer.read()


def test_the_screen_names_every_place_and_account(demo: RunningDemo) -> None:
    screen = demo.screen()
    assert all(str(demo.place(name)) in screen for name in ("pop3", "pop3s", "lmtp"))
    assert all(account.address in screen and account.password in screen for account in demo.accounts)


def test_r107_no_url_on_the_screen_holds_a_password(demo: RunningDemo) -> None:
    """RFC 2384 §3."""
    urls = re.findall(r"\b\w+://\S+", demo.screen())
    assert any(url.startswith("pop3s://") for url in urls)
    assert not any("@" in url or account.password in url for url in urls for account in demo.accounts)


@pytest.mark.parametrize("title", ["List the messages, over STLS", "Read the first one, over TLS"])
def test_the_lines_for_curl_work(demo: RunningDemo, title: str) -> None:
    needs("curl")
    assert run(demo.shell_lines()[title])


def test_the_line_for_openssl_works(demo: RunningDemo) -> None:
    needs("openssl")
    account = demo.accounts[1]
    talk = f"USER {account.address}\nPASS {account.password}\nSTAT\nQUIT\n"
    answers = run(demo.shell_lines()["Talk POP3 by hand"], talk).splitlines()
    assert [answer for answer in answers if not answer.startswith("+OK")] == []


def test_the_line_for_a_delivery_delivers(demo: RunningDemo) -> None:
    with session(demo, demo.accounts[0]) as client:
        before = client.stat()[0]
    run(demo.shell_lines()["Deliver a message"])
    with session(demo, demo.accounts[0]) as client:
        assert client.stat()[0] == before + 1
        assert b"Subject: Hello" in client.retr(before + 1)[1]
        client.dele(before + 1)


def test_the_line_for_the_maildrops_lists_them(demo: RunningDemo) -> None:
    assert demo.accounts[0].address in run(demo.shell_lines()["See the maildrops"])


def test_a_cleartext_login_is_refused(demo: RunningDemo) -> None:
    place, account = demo.place("pop3"), demo.accounts[0]
    with closing(poplib.POP3(place.host, place.port, timeout=30)) as client:
        with pytest.raises(poplib.error_proto, match="-ERR"):
            client.user(account.address)
        client.quit()


def test_a_maildrop_of_ones_own_is_empty(demo: RunningDemo) -> None:
    with session(demo, demo.new_account()) as client:
        assert client.stat() == (0, 0)


def test_a_second_demo_on_the_same_state_is_refused(demo: RunningDemo) -> None:
    second = demo.state / "second"
    second.mkdir()
    process = started(second, "--state", str(demo.state / "state"))
    assert process.wait(60) == 1
    assert "A demo already runs on" in (second / "screen.txt").read_text()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = started(tmp_path, "--pop3", str(taken.getsockname()[1]))
        assert process.wait(60) == 1
    assert "Choose another with --pop3 PORT" in (tmp_path / "screen.txt").read_text()


def test_a_warm_start_finds_the_same_mail_and_fresh_forgets_it(tmp_path: Path) -> None:
    with demo_on(tmp_path) as first:
        before, accounts = unique_ids(first), first.accounts
    with demo_on(tmp_path) as second:
        assert unique_ids(second) == before
        assert second.accounts == accounts
    with demo_on(tmp_path, "--fresh") as third:
        assert third.accounts != accounts
        assert set(chain(*unique_ids(third).values())).isdisjoint(chain(*before.values()))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    with demo_on(tmp_path) as demo:
        children = offspring(demo.process.pid)
        assert len(children) >= 2
        demo.process.send_signal(how)
        assert demo.process.wait(60) == (0 if how is not signal.SIGKILL else -signal.SIGKILL)
        assert all_gone(children)


def test_an_end_while_starting_leaves_a_state_that_starts(tmp_path: Path) -> None:
    tmp_path.joinpath("state").mkdir()
    process = started(tmp_path)
    while not (tmp_path / "state" / "postgres").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    with demo_on(tmp_path) as demo:
        assert json.loads((tmp_path / "ready.json").read_text()) == demo.ready
