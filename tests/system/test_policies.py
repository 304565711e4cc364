"""Policies and app passwords as mail programs and staff meet them, through the real program and commands.

RFC 3206 §5 ([AUTH] where a policy stands against an attempt).
"""

import json
import re
from pathlib import Path

import pytest

from tests.backends.demo import Account, RunningDemo
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop, new_maildrop
from tests.system.clients.program import Way
from tests.system.clients.programs import Curl, Mpop

REFUSED = b"-ERR [AUTH] Authentication failed\r\n"
HERE, ELSEWHERE = "127.0.0.0/8", "192.0.2.0/24"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def set_policy(maildrop: Maildrop, *flags: str) -> None:
    maildrop.demo.poplar("maildrop", "set", maildrop.account.address, *flags)


def answer(maildrop: Maildrop) -> bytes:
    """What a login is answered."""
    wire, said = maildrop.log_in(maildrop.demo.place("pop3s"))
    wire.say(b"QUIT")
    wire.close()
    return said


def app_password(maildrop: Maildrop, label: str, *flags: str) -> Maildrop:
    """The same maildrop, as a program opens it that was given an app password."""
    told = maildrop.demo.poplar(
        "credential", "create", maildrop.account.address, "--app", "--label", label, "--json", *flags
    )
    account = maildrop.account
    return Maildrop(maildrop.demo, Account(account.tenant, account.address, json.loads(told)["password"]))


@pytest.mark.parametrize(
    ("shut", "open_again"),
    [
        (("--pop3", "off"), ("--pop3", "on")),
        (("--networks", ELSEWHERE), ("--networks", f"{ELSEWHERE},{HERE}")),
        (("--mechanisms", "plain,login"), ("--mechanisms", "user")),
        (("--app-passwords", "required"), ("--app-passwords", "inherit")),
    ],
)
def test_g11_a_policy_binds_the_very_next_login(
    maildrop: Maildrop, shut: tuple[str, str], open_again: tuple[str, str]
) -> None:
    assert answer(maildrop).startswith(b"+OK")
    set_policy(maildrop, *shut)
    assert answer(maildrop) == REFUSED
    set_policy(maildrop, *open_again)
    assert answer(maildrop).startswith(b"+OK")


def test_mail_programs_use_an_app_password_as_any_other(maildrop: Maildrop, home: Path) -> None:
    maildrop.fill([PLAIN])
    phone, laptop = app_password(maildrop, "phone"), app_password(maildrop, "laptop")
    set_policy(maildrop, "--app-passwords", "required")
    assert Curl().asked(home, maildrop, Way.TLS, "").code != 0
    assert Curl().asked(home, phone, Way.TLS, "").code == 0
    assert Mpop().fetch(home, laptop, Way.STLS, keep=True).code == 0
    maildrop.demo.poplar("credential", "remove", maildrop.account.address, "phone")
    assert answer(phone) == REFUSED
    assert answer(laptop).startswith(b"+OK")


def test_an_app_password_for_another_network_opens_nothing_from_here(maildrop: Maildrop) -> None:
    assert answer(app_password(maildrop, "office", "--networks", ELSEWHERE)) == REFUSED
    assert answer(app_password(maildrop, "desk", "--networks", HERE)).startswith(b"+OK")


def test_an_app_password_is_shown_once_and_never_again(demo: RunningDemo, maildrop: Maildrop) -> None:
    text = app_password(maildrop, "phone", "--networks", HERE).account.password
    address = maildrop.account.address
    shown = demo.poplar("credential", "show", address, "phone", "--json")
    listed = demo.poplar("credential", "list", address)
    audit = demo.poplar("tenant", "audit", maildrop.account.tenant, "--json")
    assert text not in shown + listed + audit
    assert json.loads(shown)["kind"] == "app"
    assert json.loads(shown)["policy"] == {"networks": [HERE]}
    assert f"networks={HERE}" in listed


def test_r34_two_quick_logins_are_forgiven_and_the_third_is_told_to_wait(maildrop: Maildrop) -> None:
    """RFC 2449 §6.5, §8.1.1; Outlook reads and removes in two sessions."""
    set_policy(maildrop, "--login-delay", "600")
    with maildrop.session() as wire:
        assert wire.say(b"CAPA").startswith(b"+OK")
        assert b"LOGIN-DELAY 600\r\n" in wire.multi_line()
    assert answer(maildrop).startswith(b"+OK")
    assert answer(maildrop).startswith(b"-ERR [LOGIN-DELAY] ")


def test_a_tenant_with_all_its_sessions_is_told_to_wait_and_comes_in_when_one_has_ended(
    demo: RunningDemo, maildrop: Maildrop
) -> None:
    other = new_maildrop(demo, "another password")
    for each in (maildrop, other):
        set_policy(each, "--sessions-per-tenant", "1")
    with maildrop.session():
        assert answer(other) == b"-ERR [SYS/TEMP] Too many sessions at once, please wait and try again later\r\n"
        assert maildrop.demo.poplar("session", "list", "--json").count(other.account.address) == 0
    assert answer(other).startswith(b"+OK")


def test_who_retrieved_the_octets_of_the_day_is_told_when_to_come_back(maildrop: Maildrop, home: Path) -> None:
    maildrop.fill([PLAIN, PLAIN])
    set_policy(maildrop, "--octets-per-day", "1")
    with maildrop.session() as wire:
        assert wire.say(b"RETR 1").startswith(b"+OK")
        wire.multi_line()
        told_when = rb"-ERR \[SYS/TEMP\] Octets of the day .* please wait 2[34] hours.*\r\n"
        assert re.fullmatch(told_when, wire.say(b"RETR 2"))
        assert wire.say(b"TOP 2 0").startswith(b"-ERR [SYS/TEMP]")
        assert wire.say(b"LIST 2").startswith(b"+OK 2 ")
        assert wire.say(b"DELE 2").startswith(b"+OK")
        assert wire.say(b"RSET").startswith(b"+OK")
    told = Curl().asked(home, maildrop, Way.TLS, "1")
    assert told.code != 0
    assert maildrop.stat[0] == 2
