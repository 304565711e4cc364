"""Who guesses passwords, and whose are guessed, at a real front end behind a balancer: D14, X19. G13, G14.

RFC 3206 §5 and §6: a block is told from a wrong password by nothing.
"""

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.backends.valkey_group import start_node
from tests.cli.conftest import await_true
from tests.protocol.proxy_headers import INET, INET6, addresses, header
from tests.system.clients.maildrop import Maildrop, Wire, new_maildrop
from tests.system.front_end import POP3, FrontEnd, front_end
from tests.system.test_bad_logins import FAILED, RIGHT, WAYS

BEHIND = POP3 | {"name": "own", "tls": "terminated", "proxy_protocol": "required", "trusted": ["127.0.0.0/8"]}
SMALL = {
    "longest_delay": 0.0,
    "address_delay_from": 5,
    "address_refuse_from": 10,
    "pair_delay_from": 3,
    "pair_refuse_from": 6,
    "account_delay_from": 8,
    "account_refuse_from": 16,
}
_places = count(1)


@contextmanager
def guarded(demo: RunningDemo, folder: Path, **more: object) -> Iterator[FrontEnd]:
    """A front end behind a balancer, which answers wrong passwords at once, and with small limits."""
    settings = {"abuse": SMALL, "pop3": {"failure_delay": 0.0}, **more}
    with front_end(demo, folder, (BEHIND,), "service", **settings) as started:
        yield started


@pytest.fixture(scope="module")
def front(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    with guarded(demo, tmp_path_factory.mktemp("abuse"), limits={"login_failures": 1000}) as started:
        yield started


@pytest.fixture
def victim(demo: RunningDemo) -> Maildrop:
    return new_maildrop(demo, RIGHT)


def new_place() -> str:
    """An address that no other test comes from."""
    return f"198.18.{(number := next(_places)) // 250}.{number % 250}"


@contextmanager
def client(front: FrontEnd, address: str) -> Iterator[Wire]:
    """A client that the balancer says has this address."""
    at = front.place()
    with closing(Wire(socket.create_connection((at.host, at.port), timeout=60))) as wire:
        family, own = (INET6, "::1") if ":" in address else (INET, "192.0.2.9")
        wire.sock.sendall(header(addresses(address, 50000, own), family))
        assert wire.line().startswith(b"+OK")
        yield wire


def tried(front: FrontEnd, address: str, name: str, *passwords: str, way: str = "PLAIN") -> list[bytes]:
    """What each password is answered, one after the other on one connection."""
    with client(front, address) as wire:
        return [answer(wire, name, password, way) for password in passwords]


def answer(wire: Wire, name: str, password: str, way: str = "PLAIN") -> bytes:
    """What a password is answered; nothing where the connection was closed before."""
    try:
        return WAYS[way](wire, name, password)
    except ConnectionError:
        return b""


def opens(front: FrontEnd, address: str, maildrop: Maildrop) -> bool:
    with client(front, address) as wire:
        said = answer(wire, maildrop.account.address, RIGHT)
        if said.startswith(b"+OK"):
            assert wire.say(b"QUIT").startswith(b"+OK")
            return True
        assert said == FAILED
        return False


def guesses(number: int) -> list[str]:
    return [f"guess {each}" for each in range(number)]


def refusals(front: FrontEnd, client: str) -> list[str]:
    """Why each login from this address was refused, by the log."""
    lines = [json.loads(line) for line in front.command.said.splitlines() if '"login refused"' in line]
    return [line["cause"] for line in lines if line["client"] == client]


def test_one_address_that_guesses_is_refused_unseen_and_another_is_not(front: FrontEnd, victim: Maildrop) -> None:
    attacker = new_place()
    assert tried(front, attacker, victim.account.address, *guesses(6)) == [FAILED] * 6
    assert not opens(front, attacker, victim)
    assert opens(front, new_place(), victim)
    assert refusals(front, attacker)[-1].startswith("held back: the account from this address")


def test_an_address_that_tries_many_accounts_is_refused_at_all_of_them(front: FrontEnd, victim: Maildrop) -> None:
    attacker = new_place()
    for number in range(10):
        tried(front, attacker, f"nobody{number}@{victim.account.address.partition('@')[2]}", "x")
    assert not opens(front, attacker, victim)
    assert opens(front, new_place(), victim)


def test_one_ipv6_network_is_one_address(front: FrontEnd, victim: Maildrop) -> None:
    for number in range(10):
        tried(front, f"2001:db8:77:1::{number}", f"nobody{number}@nowhere.example", "x")
    assert not opens(front, "2001:db8:77:1:ffff::1", victim)
    assert opens(front, "2001:db8:77:2::1", victim)


def test_an_address_that_hammers_on_has_its_connections_closed(front: FrontEnd, victim: Maildrop) -> None:
    attacker = new_place()
    for number in range(10):
        tried(front, attacker, f"nobody{number}@nowhere.example", "x")
    with client(front, attacker) as wire:
        said = []
        # Each weighs a fiftieth while it isn't looked at.
        for number in range(1000):
            said.append(answer(wire, victim.account.address, f"guess {number}"))
            if said[-1] == b"":
                break
    assert set(said) == {FAILED, b""}
    assert tried(front, attacker, victim.account.address, "x", "x") == [FAILED, b""]


def test_an_owner_gets_in_while_the_account_is_attacked_from_everywhere(front: FrontEnd, victim: Maildrop) -> None:
    owner = new_place()
    assert opens(front, owner, victim)
    for number in range(20):
        tried(front, new_place(), victim.account.address, f"guess {number}")
    assert not opens(front, new_place(), victim)
    assert opens(front, owner, victim)


@pytest.mark.parametrize("name", ["", "nobody", "user@nowhere.example"])
def test_d14_a_block_is_told_from_a_wrong_password_by_no_octet(front: FrontEnd, victim: Maildrop, name: str) -> None:
    name = {"": victim.account.address, "nobody": "nobody" + victim.account.address}.get(name, name)
    attacker = new_place()
    answers = {way: [tried(front, attacker, name, f"{way} {n}", way=way)[0] for n in range(9)] for way in WAYS}
    assert [len(set(each)) for each in answers.values()] == [1, 1, 1]
    assert {said[-len(FAILED) :] for each in answers.values() for said in each} == {FAILED}
    assert any(cause.startswith("held back") for cause in refusals(front, attacker))


def test_thunderbird_s_saved_wrong_password_never_gets_its_owner_held_back(front: FrontEnd, victim: Maildrop) -> None:
    """It tries PLAIN, LOGIN and USER in turn, at each check for mail."""
    home = new_place()
    for _ in range(10):
        for way in ("PLAIN", "LOGIN", "USER"):
            (said,) = tried(front, home, victim.account.address, "of long ago", way=way)
            assert said.endswith(FAILED)
    assert opens(front, home, victim)
    assert not any(cause.startswith("held back") for cause in refusals(front, home))


def test_f3_with_valkey_away_logins_go_on_and_this_process_counts_by_itself(demo: RunningDemo, tmp_path: Path) -> None:
    victim, attacker, owner = new_maildrop(demo, RIGHT), new_place(), new_place()
    with ExitStack() as stack:
        node = start_node(stack, tmp_path / "valkey")
        redis = {"url": f"redis://127.0.0.1:{node.port}/0", "deadline": 0.5}
        front = stack.enter_context(guarded(demo, tmp_path / "front", redis=redis))
        assert opens(front, owner, victim)
        tried(front, attacker, victim.account.address, "guess 0", "guess 1")
        node.process.kill()
        node.process.wait()
        assert opens(front, owner, victim)
        for number in range(6):
            tried(front, attacker, victim.account.address, f"guess {number}")
        assert not opens(front, attacker, victim)
        assert opens(front, owner, victim)
        assert refusals(front, attacker)[-1].startswith("held back: the account from this address")
        own = lambda: re.search(r'poplar_logins_judged_total\{counters="own"\} [1-9]', scraped(front))  # noqa: E731
        await_true(own, "the metric to say so")
        assert front.command.said.count('"event":"unavailable"') >= 1


def test_the_support_desk_sees_a_block_and_lifts_it(front: FrontEnd, victim: Maildrop) -> None:
    attacker, name = new_place(), victim.account.address
    tried(front, attacker, name, *guesses(6))
    assert not opens(front, attacker, victim)
    (found,) = [row for row in json.loads(poplar(front, "block", "list", "--json")) if row["whom"].startswith(name)]
    assert (found["by"], found["whom"], found["state"]) == ("pair", f"{name} {attacker}", "refused")
    assert f"{name} {attacker}" in poplar(front, "block", "list")
    assert poplar(front, "block", "clear", name) == f"forgot the wrong passwords of {name} (2 counts)\n"
    assert opens(front, attacker, victim)
    assert f"block.clear  {name}" in re.sub(" +", "  ", poplar(front, "audit", "--subject", name))


def poplar(front: FrontEnd, *arguments: str) -> str:
    """What a command says with the front end's settings."""
    settings = str(front.command.log.parent / "poplar.yaml")
    command = [sys.executable, "-m", "service", "--config", settings, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scraped(front: FrontEnd) -> str:
    """What the front end's metrics say."""
    lines = [json.loads(line) for line in front.command.said.splitlines() if '"serving"' in line]
    with urllib.request.urlopen(f"{lines[0]['http']}/metrics", timeout=60) as told:  # noqa: S310 - our own
        return str(told.read().decode())


def test_g17_no_metric_names_whom_it_is_about(front: FrontEnd, victim: Maildrop) -> None:
    tried(front, new_place(), victim.account.address, *guesses(9))
    told = [line for line in scraped(front).splitlines() if "login" in line]
    assert any('poplar_logins_held_back_total{by="pair",how="refused"}' in line for line in told)
    assert any('poplar_login_blocks_total{by="pair"}' in line for line in told)
    assert not [line for line in told if "198.18." in line or victim.account.address in line or "@" in line]
