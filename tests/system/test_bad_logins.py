"""Every login that must fail fails with the same octets, over every mechanism: D14, D28. G11, G13.

RFC 3206 §6: "[AUTH]" on every refusal of credentials and on nothing else; RFC 4616 §2 (authzid).
"""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.backends.demo import RunningDemo
from tests.protocol.pop3.test_bad_inputs import b64
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop, trusting

FAILED = b"-ERR [AUTH] Authentication failed\r\n"
RIGHT = "right pass"
Log = Callable[[Wire, str, str], bytes]


def by_user(wire: Wire, name: str, password: str) -> bytes:
    return wire.say(b"USER " + name.encode()) + wire.say(b"PASS " + password.encode())


def by_plain(wire: Wire, name: str, password: str) -> bytes:
    return wire.say(b"AUTH PLAIN " + b64(f"\0{name}\0{password}".encode()))


def by_login(wire: Wire, name: str, password: str) -> bytes:
    return wire.say(b"AUTH LOGIN") + wire.say(b64(name.encode())) + wire.say(b64(password.encode()))


WAYS = {"USER": by_user, "PLAIN": by_plain, "LOGIN": by_login}


@pytest.fixture(scope="module")
def doors(demo: RunningDemo) -> dict[str, tuple[str, str]]:
    return doors_of(demo)


def doors_of(demo: RunningDemo) -> dict[str, tuple[str, str]]:
    """A name and a password for each reason to refuse; the passwords are right wherever there is one."""
    known, disabled, revoked = (new_maildrop(demo, RIGHT) for _ in range(3))
    demo.poplar("maildrop", "suspend", disabled.account.address)
    demo.poplar("credential", "suspend", revoked.account.address, "main")
    tenant = "t" + known.account.address.partition("@")[0].removeprefix("user-")
    demo.poplar("tenant", "create", tenant)
    demo.poplar("domain", "create", f"{tenant}.example", "--tenant", tenant)
    demo.poplar("maildrop", "create", f"u@{tenant}.example")
    demo.poplar("credential", "create", f"u@{tenant}.example", "--password-stdin", told=RIGHT + "\n")
    demo.poplar("tenant", "suspend", tenant)
    return {
        "unknown domain": ("user@nowhere.example", RIGHT),
        "unknown user": ("nobody" + known.account.address, RIGHT),
        "no domain": ("user", RIGHT),
        "wrong password": (known.account.address, "wrong"),
        "disabled user": (disabled.account.address, RIGHT),
        "revoked password": (revoked.account.address, RIGHT),
        "suspended tenant": (f"u@{tenant}.example", RIGHT),
    }


@pytest.fixture
def wire(demo: RunningDemo) -> Iterator[Wire]:
    with closing(dialled(demo.place("pop3s"), trusting(demo))) as wire:
        yield wire


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reason",
    [
        *("unknown domain", "unknown user", "no domain", "wrong password"),
        *("disabled user", "revoked password", "suspended tenant"),
    ],
)
def test_d14_no_refusal_tells_its_reason(wire: Wire, doors: dict[str, tuple[str, str]], reason: str, way: str) -> None:
    said = WAYS[way](wire, *doors[reason])
    assert said == WAYS[way](wire, "user@unheard-of.example", "x")
    assert said.endswith(FAILED)
    assert said.count(b"-ERR") == 1
    assert wire.say(b"CAPA").startswith(b"+OK")


def test_d28_the_right_password_opens_nothing_for_another(maildrop: Maildrop, wire: Wire) -> None:
    name, password = maildrop.account.address, maildrop.account.password
    other = maildrop.demo.accounts[0].address
    assert wire.say(b"AUTH PLAIN " + b64(f"{other}\0{name}\0{password}".encode())) == FAILED
    assert wire.say(b"AUTH PLAIN " + b64(f"{name}\0{name}\0{password}".encode())).startswith(b"+OK")
