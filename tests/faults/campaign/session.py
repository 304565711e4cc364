"""A POP3 session whose every operation becomes a line of the history.

Owns what is noted of each answer. Refuses to know what a client wants (`reader.py`) and what is right.
RFC 1939 §4 to §7; RFC 4616 §2 (AUTH PLAIN).
"""

import asyncio
import base64
import random
from dataclasses import dataclass, field
from typing import Any

from tests.faults.campaign.accounts import Account, secret
from tests.faults.campaign.lines import Line, LineLostError
from tests.faults.campaign.texts import received
from tests.faults.operations import Kind, Outcome, Pending, Recorder


def outcome(answer: bytes) -> Outcome:
    """What a status line says."""
    return "ok" if answer.startswith(b"+OK") else "fail"


@dataclass(eq=False)
class Session:
    """One session at the front end `at`; `name` is None until the login went well."""

    recorder: Recorder
    client: str
    at: str
    account: Account
    line: Line
    name: str
    marked: list[int] = field(default_factory=list)
    ids: dict[int, str] = field(default_factory=dict)

    def begin(self, kind: Kind, **facts: Any) -> Pending:
        return self.recorder.begin(self.client, kind, self.name, self.account.address, **facts)

    def note(self, kind: Kind) -> None:
        """The end of the session without an answer to QUIT: who left, and what stood marked."""
        marked = list(self.marked)
        self.recorder.note(self.client, kind, self.account.address, session=self.name, marked=marked, server=self.at)

    async def log_in(self, dice: random.Random) -> bool:
        """By USER and PASS, or by AUTH PLAIN: one operation."""
        serial = self.account.serial(dice)
        name, password = self.account.address, secret(serial)
        with self.begin("login", address=name, server=self.at, secret=str(serial)) as login:
            if dice.random() < 0.3:
                proof = base64.b64encode(f"\0{name}\0{password}".encode())
                answer = await self.line.ask(b"AUTH PLAIN " + proof)
            else:
                answer = await self.line.ask(f"USER {name}".encode())
                if answer.startswith(b"+OK"):
                    answer = await self.line.ask(f"PASS {password}".encode())
            login.end(outcome(answer), answer)
        return answer.startswith(b"+OK")

    async def simple(self, kind: Kind, command: bytes, **facts: Any) -> bool:
        """A command with an answer of one line that tells nothing but whether it went well."""
        with self.begin(kind, **facts) as operation:
            answer = await self.line.ask(command)
            operation.end(outcome(answer), answer)
        return answer.startswith(b"+OK")

    async def stat(self) -> bool:
        with self.begin("stat") as operation:
            answer = await self.line.ask(b"STAT")
            if not answer.startswith(b"+OK"):
                operation.end("fail", answer)
                return False
            count, octets = map(int, answer.split()[1:3])
            operation.end("ok", answer, count=count, octets=octets)
        return True

    async def list(self) -> bool:
        with self.begin("list") as operation:
            answer = await self.line.ask(b"LIST")
            if not answer.startswith(b"+OK"):
                operation.end("fail", answer)
                return False
            pairs = [each.split() for each in await self.line.lines()]
            operation.end("ok", answer, octets={int(number): int(octets) for number, octets in pairs})
        return True

    async def uidl(self) -> bool:
        with self.begin("uidl") as operation:
            answer = await self.line.ask(b"UIDL")
            if not answer.startswith(b"+OK"):
                operation.end("fail", answer)
                return False
            pairs = [each.split() for each in await self.line.lines()]
            self.ids = {int(number): unique_id.decode() for number, unique_id in pairs}
            operation.end("ok", answer, ids=self.ids)
        return True

    async def retr(self, number: int, pause: float = 0.0) -> bool:
        """With a pause, the client reads nothing for so many seconds after the first line."""
        return await self._message("retr", b"RETR %d" % number, pause, number=number, server=self.at)

    async def top(self, number: int, lines: int) -> bool:
        return await self._message(
            "top", b"TOP %d %d" % (number, lines), 0.0, number=number, lines=lines, server=self.at
        )

    async def _message(self, kind: Kind, command: bytes, pause: float, **facts: Any) -> bool:
        with self.begin(kind, **facts) as operation:
            answer = await self.line.ask(command)
            if not answer.startswith(b"+OK"):
                operation.end("fail", answer, whole=False)
                return False
            try:
                await asyncio.sleep(pause)
                text = b"".join(await self.line.lines())
            except LineLostError:
                operation.end("unknown", answer, whole=False)
                raise
            operation.end("ok", answer, whole=True, **received(text).facts)
        return True

    async def dele(self, number: int) -> bool:
        if await self.simple("dele", b"DELE %d" % number, number=number):
            self.marked.append(number)
            return True
        return False

    async def rset(self) -> None:
        if await self.simple("rset", b"RSET"):
            self.marked.clear()

    async def quit(self, *, wait: bool = True) -> None:
        """With `wait` false the client is gone before the answer can come, and nobody knows what it was."""
        with self.begin("quit", marked=list(self.marked), server=self.at, waited=wait) as operation:
            await self.line.say(b"QUIT\r\n")
            if wait:
                answer = await self.line.hear()
                operation.end(outcome(answer), answer)
