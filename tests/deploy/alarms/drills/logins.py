"""Faults around logins: floods, guessers, a directory of the provider's own that goes away.

Owns these drills.
"""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from tests.backends.demo import Place
from tests.deploy.alarms.clients import log_in
from tests.deploy.alarms.drill import Drill, Scene
from tests.deploy.alarms.drills.scenes import scene_of
from tests.deploy.alarms.drills.web import Web, allows
from tests.deploy.alarms.ground import Ground
from tests.deploy.load import flood
from tests.protocol.proxy_headers import INET, addresses, header
from tests.system.clients.maildrop import Maildrop, Wire
from tests.system.front_end import POP3, TERMINATED, front_end

BEHIND = POP3 | {"name": "behind", "tls": "terminated", "proxy_protocol": "required", "trusted": ["127.0.0.0/8"]}
SMALL = {"half_life": 5.0, "longest_delay": 0.0, "account_delay_from": 2, "account_refuse_from": 4}


@contextmanager
def flooded(ground: Ground) -> Iterator[Scene]:
    """Wrong passwords for names that nobody has, more at a time than may wait."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), hashing={"threads": 1, "queue": 2}) as front:
        there, tenant = threading.Event(), ground.demo.accounts[0].tenant

        def come() -> None:
            if there.is_set():
                flood(front.place("terminated"), tenant)

        yield scene_of(front, inject=there.set, mend=there.clear, rounds=[come, come])


def guess(place: Place, maildrop: Maildrop, choice: random.Random) -> None:
    """A wrong password from an address that nobody has come from."""
    client = f"198.18.{choice.randrange(256)}.{choice.randrange(1, 255)}"
    with closing(Wire(socket.create_connection((place.host, place.port), timeout=60))) as wire:
        wire.sock.sendall(header(addresses(client, 50000, "192.0.2.9"), INET))
        wire.line()
        wire.say(b"USER " + maildrop.account.address.encode())
        wire.say(b"PASS guess%d" % choice.getrandbits(40))


@contextmanager
def guessed(ground: Ground) -> Iterator[Scene]:
    """Many addresses try passwords for a few accounts."""
    with front_end(ground.demo, ground.fresh("front"), (BEHIND,), pop3={"failure_delay": 0.0}, abuse=SMALL) as front:
        there, maildrops = threading.Event(), ground.maildrops(6)

        def come(maildrop: Maildrop, choice: random.Random) -> None:
            if there.is_set():
                guess(front.place("behind"), maildrop, choice)

        def clear() -> None:
            there.clear()
            for each in maildrops:
                ground.demo.poplar("block", "clear", each.account.address)

        rounds = [partial(come, each, random.Random(seed)) for seed, each in enumerate(maildrops)]
        scene = scene_of(front, inject=there.set, mend=clear, rounds=rounds)
        scene.words |= {"anna@orchard.example": maildrops[0].account.address}
        yield scene


@contextmanager
def hook_down(ground: Ground) -> Iterator[Scene]:
    """Tenants whose users a provider's own hook knows, which goes away."""
    with Web(allows) as web:
        outside = {"name": "crm", "url": web.url, "secret": "0123456789abcdef" * 2, "allow_clear": True, "pause": 1.0}
        directory = {"default": "crm", "outside": [outside]}
        with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), directory=directory) as front:
            rounds = [partial(log_in, each, front.place("terminated")) for each in ground.maildrops(3)]
            yield scene_of(front, inject=web.end, mend=web.begin, rounds=rounds)


DRILLS = {
    "PoplarPasswordQueueFull": Drill(
        "a flood of wrong passwords, ten at a time, where one thread verifies them and two may wait",
        "it ends",
        flooded,
        (
            ("poplar_turns_refused_total", r'resource="hashing"\} [0-9.]*[1-9]'),
            ("poplar_login_seconds_count", r'result="overloaded"\} [0-9.]*[1-9]'),
            ("poplar_remembered_logins_total", r""),
            ("poplar block list", r"by .*whom"),
        ),
    ),
    "PoplarPasswordsGuessed": Drill(
        "passwords of six accounts are guessed from ever new addresses",
        "the guessers are shut out; `poplar block clear` for each account",
        guessed,
        (
            ("poplar_login_blocks_total", r'by="account"\} [0-9.]*[1-9]'),
            ("poplar block list", r"account +user-"),
            ("poplar maildrop explain", r"wrong passwords"),
        ),
    ),
    "PoplarOutsideDirectoryFails": Drill(
        "the provider's HTTP hook refuses connections",
        "it is back",
        hook_down,
        (
            ("poplar_directory_seconds_count", r'directory="crm", outcome="(shut|unavailable)"\} [0-9.]*[1-9]'),
            ("poplar_directory_seconds_bucket", r'directory="crm"'),
            ("FROM tenants", r"orchard"),
            ("poplar doctor", r"FAIL  directory crm: gives no clear answer"),
        ),
    ),
}
