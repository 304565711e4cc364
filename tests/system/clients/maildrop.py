"""A maildrop of a test's own in the running demo, and the octets in it as a bare socket reads them.

Owns delivery by LMTP and the reading that real clients are measured by: no library stands between, so nothing is
added or made prettier. RFC 1939 §3, RFC 2033 §4.2, RFC 3030 §2.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from service.app.blobs import make_blobs
from service.app.clock import SystemClock
from service.app.databases import open_database
from service.app.provisioning import provisioning
from service.mail.importing import Import, import_recipient, open_archive
from service.model.policy import PolicyValue
from service.model.tenancy import PolicyChange
from service.settings import Settings, load_settings
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from tests.backends.demo import Account, Place, RunningDemo
from tests.system.clients.letters import Handed

SECONDS = 60.0


class Wire:
    """A connection that is spoken to in lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def say(self, line: bytes) -> bytes:
        """Send a command; the first line of its answer."""
        self.sock.sendall(line + b"\r\n")
        return self.line()

    def line(self) -> bytes:
        """The next line, with its end."""
        return self._file.readline()

    def multi_line(self) -> bytes:
        """What a multi-line response carries, unstuffed, octet for octet."""
        # RFC 1939 §3: "If so and if octets other than CRLF follow, the first octet of the line (the termination octet)
        # is stripped away."
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            assert line.endswith(b"\n"), "the response was cut"
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def ends_with_a_dot(self) -> bool:
        """Whether what is left of a multi-line response comes to its end before the connection does."""
        try:
            while line := self._file.readline():
                if line == b".\r\n":
                    return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        self._file.close()
        self.sock.close()


def trusting(demo: RunningDemo) -> ssl.SSLContext:
    """A client's context that trusts the demo's authority alone."""
    return ssl.create_default_context(cafile=demo.ca_file)


def dialled(place: Place, context: ssl.SSLContext | None = None) -> Wire:
    """A connection, inside TLS where a context is given, whose greeting was read."""
    sock = socket.create_connection((place.host, place.port), timeout=SECONDS)
    wire = Wire(context.wrap_socket(sock, server_hostname=place.host) if context else sock)
    assert wire.line()[:3] in (b"+OK", b"220")
    return wire


@dataclass(frozen=True)
class Maildrop:
    """A maildrop that no other test touches."""

    demo: RunningDemo
    account: Account

    def log_in(self, place: Place, *, private: bool = True) -> tuple[Wire, bytes]:
        """A connection to `place`, within TLS if `private`, and the answer to its login."""
        wire = dialled(place, trusting(self.demo) if private else None)
        assert wire.say(b"USER " + self.account.address.encode()).startswith(b"+OK")
        return wire, wire.say(b"PASS " + self.account.password.encode())

    @contextmanager
    def session(self, place: Place | None = None) -> Iterator[Wire]:
        """A session in TRANSACTION, at the demo or elsewhere, ended with QUIT unless the block raises."""
        wire, answer = self.log_in(place or self.demo.place("pop3s"))
        try:
            assert answer.startswith(b"+OK"), answer
            yield wire
            assert wire.say(b"QUIT").startswith(b"+OK")
        finally:
            wire.close()

    @property
    def is_free(self) -> bool:
        """Whether a login at the demo opens it; else the answer must be that it is in use."""
        wire, answer = self.log_in(self.demo.place("pop3s"))
        wire.say(b"QUIT")
        wire.close()
        assert answer.startswith((b"+OK", b"-ERR [IN-USE] ")), answer
        return answer.startswith(b"+OK")

    @property
    def stat(self) -> tuple[int, int]:
        """How many messages, and their octets."""
        with self.session() as wire:
            return _numbers(wire.say(b"STAT").removeprefix(b"+OK"))

    @property
    def messages(self) -> list[bytes]:
        """Every message as RETR sends it, each of exactly the octets that LIST says."""
        found = []
        with self.session() as wire:
            assert wire.say(b"LIST").startswith(b"+OK")
            for number, octets in map(_numbers, wire.multi_line().splitlines()):
                assert wire.say(b"RETR %d" % number).startswith(b"+OK")
                found.append(wire.multi_line())
                assert len(found[-1]) == octets
        return found

    @property
    def unique_ids(self) -> list[str]:
        """The unique-ids, in the order of their numbers."""
        with self.session() as wire:
            assert wire.say(b"UIDL").startswith(b"+OK")
            return [line.split()[1].decode() for line in wire.multi_line().splitlines()]

    def set_policy(self, **values: PolicyValue) -> None:
        """Override values of the tenant's policy; they bind the next login."""
        asyncio.run(_ruled(load_settings(self.demo.state / "state" / "poplar.yaml"), self.account, values))

    def restore_all(self) -> int:
        """Restore whatever can be restored; how many messages that were."""
        return asyncio.run(_restored(load_settings(self.demo.state / "state" / "poplar.yaml"), self.account))

    def fill(self, letters: Sequence[Handed]) -> list[bytes]:
        """Deliver `letters` by LMTP; the maildrop's messages, each proved to be trace lines and what was handed in."""
        before, _ = self.stat
        self.deliver(letters)
        messages = self.messages
        for message, letter in zip(messages[before:], letters, strict=True):
            assert message.endswith(letter.stored), letter.name
            assert re.fullmatch(TRACE, message[: -len(letter.stored)]), letter.name
        return messages

    def deliver(self, letters: Sequence[Handed]) -> None:
        """Deliver `letters` by LMTP."""
        wire = dialled(self.demo.place("lmtp"))
        answered(wire, b"LHLO clients.example", b"250")
        for letter in letters:
            hand_in(wire, self.account.address, letter)
        answered(wire, b"QUIT", b"221")
        wire.close()

    def import_from_the_past(self, letters: Sequence[Handed], ago: timedelta) -> list[bytes]:
        """Messages that count as received so long ago; they have no trace lines."""
        asyncio.run(_imported(load_settings(self.demo.state / "state" / "poplar.yaml"), self.account, letters, ago))
        return [letter.stored for letter in letters]

    @property
    def recent(self) -> "Maildrop":
        """The same, by the name that asks for its last days alone."""
        return replace(self, account=replace(self.account, address=f"recent:{self.account.address}"))


TRACE = rb"(?:(?:Return-Path: <[^\r\n]*>|Delivered-To: [^\r\n]+)\r\n){2}Received: [^\r\n]+\r\n(?:\t[^\r\n]+\r\n)+"


def _numbers(line: bytes) -> tuple[int, int]:
    first, second = line.split()
    return int(first), int(second)


def hand_in(wire: Wire, recipient: str, letter: Handed) -> None:
    """Deliver one letter over a connection that said LHLO."""
    answered(wire, b"MAIL FROM:<ada@example.org> BODY=8BITMIME SMTPUTF8", b"250")
    answered(wire, b"RCPT TO:<" + recipient.encode() + b">", b"250")
    if letter.chunked:
        answered(wire, b"BDAT %d LAST\r\n" % len(letter.text) + letter.text, b"250", end=b"")
        return
    answered(wire, b"DATA", b"354")
    # RFC 5321 §4.5.2: "the SMTP client checks the first character of the line. If it is a period, one additional
    # period is inserted at the beginning of the line."
    stuffed = re.sub(rb"(\A|(?<=\r\n))\.", b"..", letter.text)
    answered(wire, stuffed + b".\r\n", b"250", end=b"")


def answered(wire: Wire, sent: bytes, code: bytes, end: bytes = b"\r\n") -> None:
    """Send to an LMTP listener what it must answer with `code`."""
    wire.sock.sendall(sent + end)
    while (line := wire.line())[3:4] == b"-":
        continue
    assert line.startswith(code), line


def new_maildrop(demo: RunningDemo, password: str, local: str = "user", settings: Settings | None = None) -> Maildrop:
    """An empty maildrop of the first tenant, provided with the demo's settings or others."""
    tenant, domain = demo.accounts[0].tenant, demo.accounts[0].address.partition("@")[2]
    account = Account(tenant, f"{local}-{uuid4().hex[:12]}@{domain}", password)
    asyncio.run(_provided(settings or load_settings(demo.state / "state" / "poplar.yaml"), account))
    return Maildrop(demo, account)


async def _provided(settings: Settings, account: Account) -> None:
    async with provisioning(settings, "tests") as desk:
        await desk.maildrops.create(account.address)
        await desk.credentials.create(account.address, await desk.passwords.credential(account.password))


async def _ruled(settings: Settings, account: Account, values: Mapping[str, PolicyValue]) -> None:
    async with provisioning(settings, "tests") as desk:
        await desk.maildrops.set_policy(account.address, PolicyChange(values))


async def _restored(settings: Settings, account: Account) -> int:
    async with provisioning(settings, "tests") as desk:
        removed = await desk.maildrops.removed(account.address)
        assert all(each.restorable_until - each.removed_at > timedelta(days=29) for each in removed)
        return await desk.maildrops.restore(account.address, [each.unique_id for each in removed])


class _Earlier(SystemClock):
    """A clock that is late."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return super().now() - self._by


async def _imported(settings: Settings, account: Account, letters: Sequence[Handed], ago: timedelta) -> None:
    async with open_database(settings.database, "lmtp") as database:
        recipient = await import_recipient(PostgresDirectory(database), account.address)
        index, blobs = PostgresMessageIndex(database), make_blobs(settings.object_store)
        with TemporaryDirectory() as folder:
            new = Path(folder) / "new"
            new.mkdir()
            for number, letter in enumerate(letters):
                (new / f"{number}.letter").write_bytes(letter.stored)
            run = Import(index, blobs, _Earlier(ago), recipient).run(open_archive(Path(folder)))
            assert [each.refusal async for each in run] == [None] * len(letters)
