"""What clients, mail servers, strangers and time do to a site until they are told to stop.

Owns a round of each of them. They stay on loopback, are few, and wait between rounds. Refuses to judge what they hear:
a refusal is what some of them come for.
"""

import asyncio
import json
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import httpx

from tests.backends.demo import Place
from tests.cli.conftest import await_true
from tests.deploy.site import PASSWORD, Site
from tests.system.clients.letters import Handed
from tests.system.clients.maildrop import Maildrop, Wire, dialled, new_maildrop

HEADER = b"From: Ada <ada@example.org>\r\nSubject: hello\r\nMessage-ID: <%d@example.org>\r\n\r\n"
SIZES = (800, 4_000, 30_000, 120_000)
GUESSERS = 3
SCRAPED = 4
FLOOD = 10
"""Logins that come at the same moment: more than the worn front end has turns and places in its queue for."""

AGED = "UPDATE messages SET removed_at = removed_at - interval '2 hours' WHERE removed_at > now() - interval '1 hour'"
"""What was removed is kept for longer than a run, or the sweep would have nothing to delete."""


def letter(choice: random.Random) -> Handed:
    """A letter of one of some lengths."""
    body = b"".join(b"%060d\r\n" % choice.getrandbits(60) for _ in range(choice.choice(SIZES) // 62))
    text = HEADER % choice.getrandbits(60) + body
    return Handed("letter", text, text)


def read_mail(wire: Wire) -> None:
    """What a program does that fetches its mail and leaves some of it."""
    for command in (b"CAPA", b"UIDL", b"LIST"):
        wire.say(command)
        wire.multi_line()
    count = int(wire.say(b"STAT").split()[1])
    for number in range(1, count + 1):
        if wire.say(b"RETR %d" % number).startswith(b"+OK"):
            wire.multi_line()
        if number % 3:
            wire.say(b"DELE %d" % number)
    if count and wire.say(b"TOP %d 0" % count).startswith(b"+OK"):
        wire.multi_line()


def deliver(site: Site, maildrop: Maildrop, choice: random.Random) -> None:
    """Some letters, and one that is nobody's."""
    maildrop.deliver([letter(choice) for _ in range(choice.randint(1, 4))])
    wire = dialled(site.demo.place("lmtp"))
    for line in (b"LHLO else.example", b"MAIL FROM:<ada@example.org>", b"RCPT TO:<nobody@nowhere.example>", b"QUIT"):
        wire.say(line)
    wire.close()


def poll(site: Site, maildrop: Maildrop, place: Place, *, private: bool) -> None:
    """One session; at the same time another program wants the same maildrop."""
    wire, said = maildrop.log_in(place, private=private)
    if said.startswith(b"+OK"):
        if private:
            other, _ = maildrop.log_in(place)
            other.close()
        read_mail(wire)
        wire.say(b"QUIT")
    wire.close()


def guess(place: Place, address: str, password: str) -> None:
    """A wrong password."""
    wire = dialled(place)
    wire.say(b"USER " + address.encode())
    wire.say(b"PASS " + password.encode())
    wire.close()


def flood(place: Place, tenant: str) -> None:
    """Wrong passwords for many names of one tenant, all at once."""
    wires = [dialled(place) for _ in range(FLOOD)]
    for number, wire in enumerate(wires):
        wire.say(f"USER flood{number}@{tenant}.example".encode())
    for wire in wires:
        wire.sock.sendall(b"PASS flooded\r\n")
    for wire in wires:
        wire.line()
        wire.close()


def knock(place: Place) -> None:
    """Something that is no TLS, where TLS should begin."""
    with socket.create_connection((place.host, place.port), 30) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with suppress(OSError):
            sock.recv(100)


async def age(postgres: str) -> None:
    """Make what was removed two hours older."""
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(AGED)
    finally:
        await connection.close()


Round = Callable[[random.Random], None]


class Load:
    """All who come again and again, each in a thread."""

    def __init__(self, site: Site, users: int, pause: float) -> None:
        self.site = site
        self.maildrops = [new_maildrop(site.demo, PASSWORD) for _ in range(users)]
        self._pause = pause
        token = json.loads(site.demo.poplar("token", "create", "load", "--scope", "read-only", "--json"))["token"]
        self._staff = {"Authorization": f"Bearer {token}"}
        self._stop = threading.Event()
        self.floods = threading.Event()
        """Set while there are any."""
        self.floods.set()

    @property
    def rounds(self) -> list[Round]:
        """What each of them does at a time."""
        users = [partial(self._as_a_user, maildrop) for maildrop in self.maildrops]
        guessers = [partial(self._as_a_guesser, number) for number in range(GUESSERS)]
        return [*users, *guessers, self._as_a_flood, self._as_staff, self._as_time]

    def keep_on(self, doing: Round, seed: int) -> None:
        """Do it until told to stop."""
        choice = random.Random(seed)
        while not self._stop.is_set():
            doing(choice)
            self._stop.wait(self._pause * choice.uniform(0.5, 1.5))

    def stop(self) -> None:
        """Have each of them end after its round."""
        self._stop.set()

    def _as_a_user(self, maildrop: Maildrop, choice: random.Random) -> None:
        deliver(self.site, maildrop, choice)
        poll(self.site, maildrop, self.site.demo.place("pop3s"), private=True)
        poll(self.site, maildrop, self.site.worn.place("terminated"), private=False)

    def _as_a_guesser(self, number: int, choice: random.Random) -> None:
        place = self.site.worn.place("terminated")
        name = choice.choice([self.maildrops[0].account.address, f"nobody{number}@orchard.example"])
        guess(place, name, f"guess {choice.getrandbits(40)}")
        knock(self.site.demo.place("pop3s"))

    def _as_a_flood(self, _choice: random.Random) -> None:
        if self.floods.is_set():
            flood(self.site.worn.place("terminated"), self.site.demo.accounts[0].tenant)

    def _as_staff(self, _choice: random.Random) -> None:
        for path in ("/tenants", "/tenants/nobody"):
            httpx.get(f"{self.site.demo.ready['http']}/v1{path}", headers=self._staff)

    def _as_time(self, _choice: random.Random) -> None:
        asyncio.run(age(self.site.demo.ready["postgres"]))


def damage(site: Site, maildrop: Maildrop) -> None:
    """Lose a message's blob, then ask for it."""
    maildrop.deliver([letter(random.Random(7))])
    blobs = site.demo.state / "state" / "blobs"
    newest = max((path for path in blobs.rglob("*") if path.is_file()), key=_written)
    newest.unlink()
    with maildrop.session() as wire:
        assert wire.say(b"RETR 1").startswith(b"-ERR")
        wire.say(b"DELE 1")


def _written(path: Path) -> float:
    return path.stat().st_mtime


@contextmanager
def drained(site: Site) -> Iterator[None]:
    """A front end that is asked to end while a session goes on."""
    maildrop = new_maildrop(site.demo, PASSWORD)
    wire, said = maildrop.log_in(site.leaving.place("terminated"), private=False)
    assert said.startswith(b"+OK"), said
    site.leaving.command.process.send_signal(signal.SIGTERM)
    with closing(wire):
        yield


@contextmanager
def under_load(site: Site, users: int = 4, pause: float = 0.2) -> Iterator[Load]:
    """The site with all of it going on. Raises what any of them could not make sense of."""
    load = Load(site, users, pause)
    await_true(lambda: len(site.prometheus.now("up == 1")) == SCRAPED, "a scrape of each process")
    damage(site, new_maildrop(site.demo, PASSWORD))
    rounds = load.rounds
    with drained(site), ThreadPoolExecutor(len(rounds)) as threads:
        going_on = [threads.submit(load.keep_on, doing, seed) for seed, doing in enumerate(rounds)]
        try:
            yield load
        finally:
            load.stop()
    for each in going_on:
        each.result()
