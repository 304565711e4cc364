"""Clients by seed that read, remove, and leave in the middle; each notes what it was told.

Owns what a client does next and what it writes into the history. Refuses to judge.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from tests.faults.operations import Kind, Pending
from tests.simulation.site import Site
from tests.simulation.wires import Client, GoneError

IDENTITY = re.compile(rb"^Message-ID: <(\d+)@history>\r$", re.MULTILINE)
TRACE = re.compile(rb"\ADelivered-To: .*\r\nReturn-Path: .*\r\nReceived: .*\r\n(?:\t.*\r\n)*")


class LeftError(Exception):
    """The client left on purpose."""


class Reader:
    """A client of one maildrop at a time."""

    def __init__(self, site: Site, name: str, number: int) -> None:
        self._site = site
        self._dice = site.loop.dice
        self._name = name
        self._address = f"192.0.2.{number}"
        self._sessions = 0

    async def run(self, sessions: int) -> None:
        """So many sessions, one after another."""
        for _ in range(sessions):
            await asyncio.sleep(self._dice.choice((0.0, 1.0, 12.0)) * self._dice.random())
            maildrop = self._dice.choice(sorted(self._site.world.keys))
            for _ in range(self._dice.choice((1, 1, 6))):
                if await self.session(maildrop):
                    break

    async def session(self, maildrop: str) -> bool:
        """One session, however it ends; whether it had the maildrop."""
        client = self._site.connect("front", self._address)
        if client is None:
            return False
        self._sessions += 1
        session = Session(self._site, client, (self._name, f"{self._name}.{self._sessions}", maildrop))
        try:
            if await session.logged_in():
                await session.work()
        except LeftError:
            session.note("dropped")
            client.vanish()
        except GoneError:
            session.note("closed")
        finally:
            client.close()
        return session.open


class Session:
    """One connection of a reader."""

    def __init__(self, site: Site, client: Client, whose: tuple[str, str, str], *, errs: float = 0.05) -> None:
        self._site = site
        self._dice = site.loop.dice
        self._client = client
        self._whose = whose
        self._numbers: Sequence[int] = ()
        self._known: Sequence[int] = ()
        """Those whose unique-ids it has."""
        self._marked: list[int] = []
        self.open = False
        self._over = False
        self._errs = errs

    def note(self, kind: Kind) -> None:
        """How it ended, if it had begun and hadn't ended."""
        if self.open and not self._over:
            name, session, maildrop = self._whose
            facts: dict[str, Any] = {"marked": list(self._marked)} if kind == "dropped" else {}
            self._site.recorder.note(name, kind, maildrop, session=session, **facts)

    async def logged_in(self) -> bool:
        """Log in; with a wrong password now and then."""
        if not (await self._client.line()).startswith(b"+OK"):
            return False
        maildrop = self._whose[2]
        wrong = self._dice.random() < self._errs
        secret = "wrong" if wrong else self._site.secret_of(maildrop, careful=not self._errs)
        with self._begin("login", address=maildrop, secret=secret) as login:
            self._client.send(f"USER {maildrop}\r\n".encode())
            await self._client.line()
            self._client.send(f"PASS {secret}\r\n".encode())
            self.open = self._ended(login, await self._client.line())
        return self.open

    async def work(self) -> None:
        """List, read, mark, and end in one way or another."""
        dice = self._dice
        if dice.random() < 0.7:
            await self._stat()
        for listing in dice.sample((self.scan, self.uidl), 2):
            await listing()
        for _ in range(dice.choice((1, 4, 10))):
            self._leave_maybe()
            await dice.choice((self._retr, self._retr, self._dele, self._dele, self._top, self._rset, self._noop))()
            if dice.random() < self._site.slowness:
                await asyncio.sleep(dice.choice((1.0, 8.0, 40.0)) * dice.random())
            if dice.random() < self._site.faults.weather.leaves / 20:
                # The service ends the session meanwhile (autologout).
                await asyncio.sleep(500.0)
        self._leave_maybe()
        await self.quit()

    async def scan(self) -> dict[int, int]:
        with self._begin("list") as op:
            lines = await self._multi_line(op, b"LIST\r\n")
            if lines is None:
                return {}
            octets = {int(line.split()[0]): int(line.split()[1]) for line in lines}
            self._numbers = list(octets)
            op.end("ok", b"+OK", octets=octets)
            return octets

    async def uidl(self) -> dict[int, str]:
        with self._begin("uidl") as op:
            lines = await self._multi_line(op, b"UIDL\r\n")
            if lines is None:
                return {}
            ids = {int(line.split()[0]): line.split()[1].decode() for line in lines}
            self._numbers = self._known = list(ids)
            op.end("ok", b"+OK", ids=ids)
            return ids

    async def retr(self, number: int) -> dict[str, Any]:
        """What came, as facts; nothing if it was refused."""
        with self._begin("retr", number=number) as op:
            return await self._text(op, b"RETR %d\r\n" % number)

    async def quit(self) -> None:
        with self._begin("quit", marked=list(self._marked)) as op:
            self._client.send(b"QUIT\r\n")
            self._over = True
            if self._dice.random() < self._site.faults.weather.leaves:
                return
            self._ended(op, await self._client.line())

    async def _stat(self) -> None:
        with self._begin("stat") as op:
            self._client.send(b"STAT\r\n")
            answer = await self._client.line()
            if self._refused(op, answer):
                return
            _, count, octets = answer.split()
            op.end("ok", answer, count=int(count), octets=int(octets))

    async def _retr(self) -> None:
        if self._numbers:
            first = self._dice.choice(self._numbers)
            # In sequence, so that what follows is fetched ahead.
            for number in [n for n in self._numbers if n >= first][: self._dice.choice((1, 3))]:
                if number not in self._marked:
                    await self.retr(number)

    async def _top(self) -> None:
        numbers = [number for number in self._numbers if number not in self._marked]
        if numbers:
            number, lines = self._dice.choice(numbers), self._dice.choice((0, 3, 1000))
            with self._begin("top", number=number, lines=lines) as op:
                await self._text(op, b"TOP %d %d\r\n" % (number, lines))

    async def _dele(self) -> None:
        numbers = [number for number in self._known if number not in self._marked]
        for number in self._dice.sample(numbers, min(len(numbers), self._dice.choice((1, 1, 3)))):
            with self._begin("dele", number=number) as op:
                self._client.send(b"DELE %d\r\n" % number)
                if self._ended(op, await self._client.line()):
                    self._marked.append(number)

    async def _rset(self) -> None:
        if self._dice.random() < 0.3:
            with self._begin("rset") as op:
                self._client.send(b"RSET\r\n")
                if self._ended(op, await self._client.line()):
                    self._marked.clear()

    async def _noop(self) -> None:
        with self._begin("noop") as op:
            self._client.send(b"NOOP\r\n")
            self._ended(op, await self._client.line())

    async def _text(self, op: Pending, command: bytes) -> dict[str, Any]:
        lines = await self._multi_line(op, command)
        if lines is None:
            return {}
        octets = b"".join(line + b"\r\n" for line in lines)
        found = IDENTITY.search(octets)
        facts = {
            "octets": len(octets),
            "sha256": hashlib.sha256(octets).hexdigest(),
            "sent": hashlib.sha256(TRACE.sub(b"", octets)).hexdigest(),
            "text": int(found[1]) if found else None,
            "whole": True,
        }
        op.end("ok", b"+OK", **facts)
        return facts

    async def _multi_line(self, op: Pending, command: bytes) -> list[bytes] | None:
        """The lines of the response, unstuffed; None if it is a refusal, which is noted."""
        self._client.send(command)
        if self._refused(op, await self._client.line()):
            return None
        lines = []
        while (line := await self._client.line()) != b".\r\n":
            lines.append(line[:-2].removeprefix(b"."))
            if self._dice.random() < self._site.faults.weather.leaves / 50:
                await asyncio.sleep(self._dice.choice((5.0, 100.0)))
                self._leave_maybe()
        return lines

    def _ended(self, op: Pending, answer: bytes) -> bool:
        well = answer.startswith(b"+OK")
        op.end("ok" if well else "fail", answer)
        return well

    def _refused(self, op: Pending, answer: bytes) -> bool:
        return not answer.startswith(b"+OK") and not self._ended(op, answer)

    def _leave_maybe(self) -> None:
        if self._dice.random() < self._site.faults.weather.leaves / 5:
            raise LeftError

    def _begin(self, kind: Kind, **facts: Any) -> Pending:
        name, session, maildrop = self._whose
        return self._site.recorder.begin(name, kind, session, maildrop, **facts)
