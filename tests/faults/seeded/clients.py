"""Scripted clients over bare sockets, each of whose operations goes into the history.

Owns what a client sends and what it makes of the answer. Refuses to judge.
RFC 1939 §5 to §7, RFC 2033 §4.2, RFC 2595 §4.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from tests.faults.operations import Kind, Outcome
from tests.faults.seeded.stage import Process, Stage

Said = tuple[bytes, dict[str, Any]]
"""The status line, and the facts of a success."""
IDENTITY = re.compile(rb"^Message-ID: <(\d+)@history>\r$", re.MULTILINE)


def message(identity: int, body: bytes = b"Hello\r\n.\r\n..\r\n") -> bytes:
    """The text of this identity."""
    return b"Message-ID: <%d@history>\r\nSubject: %d\r\n\r\n" % (identity, identity) + body


class Line:
    """A connection that is read up to whatever ends an answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._buffer = bytearray()

    @classmethod
    async def to(cls, process: Process) -> "Line":
        line = cls(*await asyncio.open_connection("127.0.0.1", process.port))
        await line.until(b"\r\n")
        return line

    async def send(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()

    async def until(self, end: bytes, keep: int = 0) -> bytes:
        """The octets up to `end`, without it; the last `keep` octets of it stay to be read. Raises EOFError."""
        searched = 0
        while (at := self._buffer.find(end, searched)) < 0:
            searched = max(0, len(self._buffer) - len(end))
            more = await self._reader.read(1 << 20)
            if not more:
                raise EOFError
            self._buffer += more
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(end) - keep]
        return found

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        await self._writer.start_tls(context, server_hostname=name)

    def close(self) -> None:
        self._writer.close()


class Pop3Client:
    """One session; as a context, dropped at the end of the block unless it came to an end within."""

    def __init__(self, stage: Stage, name: str, address: str, line: Line, server: str) -> None:
        self._stage, self.name, self.address, self._line, self._server = stage, name, address, line, server
        self.over = False

    @classmethod
    async def at(cls, stage: Stage, process: Process, name: str, address: str) -> "Pop3Client":
        return cls(stage, name, address, await Line.to(process), process.name)

    async def __aenter__(self) -> "Pop3Client":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.drop()

    async def log_in(self, secret: str) -> bool:
        """USER and PASS; whether the maildrop is open."""

        async def said() -> Said:
            await self._line.send(b"USER %s\r\n" % self.address.encode())
            await self._line.until(b"\r\n")
            await self._line.send(b"PASS %s\r\n" % secret.encode())
            return await self._line.until(b"\r\n"), {}

        facts = {"secret": secret, "address": self.address, "server": self._server}
        return await self._done("login", said, **facts) == "ok"

    async def start_tls(self, context: ssl.SSLContext, injected: bytes) -> None:
        """STLS, with what somebody in the middle adds to it in clear."""
        await self._line.send(b"STLS\r\n" + injected)
        await self._line.until(b"\r\n")
        await self._line.start_tls(context, "localhost")

    async def stat(self) -> None:
        async def said() -> Said:
            answer = await self._ask(b"STAT")
            numbers = [int(word) for word in answer.split()[1:3]] if answer.startswith(b"+OK") else [0, 0]
            return answer, {"count": numbers[0], "octets": numbers[1]}

        await self._done("stat", said)

    async def list(self) -> dict[int, int]:
        """The octets by number; nothing where it was refused."""
        octets: dict[int, int] = {}

        async def said() -> Said:
            answer, lines = await self._ask_many(b"LIST")
            octets.update({int(number): int(each) for number, each in map(bytes.split, lines.splitlines())})
            return answer, {"octets": octets}

        await self._done("list", said)
        return octets

    async def uidl(self) -> dict[int, str]:
        """The unique-ids by number; nothing where it was refused."""
        ids: dict[int, str] = {}

        async def said() -> Said:
            answer, lines = await self._ask_many(b"UIDL")
            ids.update({int(number): each.decode() for number, each in map(bytes.split, lines.splitlines())})
            return answer, {"ids": ids}

        await self._done("uidl", said)
        return ids

    async def retr(self, number: int) -> dict[str, Any]:
        """What came of it, also where it was refused."""
        facts: dict[str, Any] = {}

        async def said() -> Said:
            answer, octets = await self._ask_many(b"RETR %d" % number)
            facts.update(received(octets) if answer.startswith(b"+OK") else {})
            return answer, facts

        await self._done("retr", said, number=number)
        return facts

    async def dele(self, *numbers: int) -> None:
        for number in numbers:
            await self._simply("dele", b"DELE %d" % number, number=number)

    async def rset(self) -> None:
        await self._simply("rset", b"RSET")

    async def noop(self) -> None:
        await self._simply("noop", b"NOOP")

    async def quit(self) -> None:
        await self._simply("quit", b"QUIT")
        self.over = True
        self._line.close()

    async def read_all(self) -> None:
        """STAT, LIST, UIDL and every message."""
        await self.stat()
        await self.list()
        for number in await self.uidl():
            await self.retr(number)

    def drop(self) -> None:
        """Close the connection without QUIT."""
        if not self.over:
            self.over = True
            self._line.close()
            self._stage.recorder.note(f"c-{self.name}", "dropped", self.address, session=self.name)

    async def _simply(self, kind: Kind, command: bytes, **facts: Any) -> None:
        async def said() -> Said:
            return await self._ask(command), {}

        await self._done(kind, said, **facts)

    async def _done(self, kind: Kind, said: Callable[[], Awaitable[Said]], **facts: Any) -> Outcome:
        with self._stage.recorder.begin(f"c-{self.name}", kind, self.name, self.address, **facts) as pending:
            try:
                answer, more = await said()
            except (EOFError, OSError, ValueError):
                # Nothing came, or nothing that can be understood.
                return "unknown"
            outcome: Outcome = "ok" if answer.startswith(b"+OK") else "fail"
            pending.end(outcome, answer, **(more if outcome == "ok" else {}))
            return outcome

    async def _ask(self, command: bytes) -> bytes:
        await self._line.send(command + b"\r\n")
        return await self._line.until(b"\r\n")

    async def _ask_many(self, command: bytes) -> tuple[bytes, bytes]:
        """The status line, and what a multi-line response carries, unstuffed."""
        await self._line.send(command + b"\r\n")
        answer = await self._line.until(b"\r\n", keep=2)
        if not answer.startswith(b"+OK"):
            await self._line.until(b"\r\n")
            return answer, b""
        # RFC 1939 §3: "If so and if octets other than CRLF follow, the first octet of the line (the termination octet)
        # is stripped away."
        octets = await self._line.until(b"\r\n.\r\n")
        return answer, (octets + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]


def received(octets: bytes) -> dict[str, Any]:
    """The facts of a message that came whole."""
    found = IDENTITY.search(octets)
    sent = octets[found.start() :] if found else octets
    digests = {"sha256": hashlib.sha256(octets).hexdigest(), "sent": hashlib.sha256(sent).hexdigest()}
    return {"octets": len(octets), "text": int(found[1]) if found else None, "whole": True, **digests}


async def deliver(stage: Stage, process: Process, text: bytes, *addresses: str) -> None:
    """Hand a text in once, for some recipients; one operation for each."""
    identity, digest = int(IDENTITY.findall(text)[0]), hashlib.sha256(text).hexdigest()
    facts = {"text": identity, "octets": len(text), "sha256": digest, "server": process.name}
    attempts = [stage.recorder.begin("sender", "deliver", None, each, **facts) for each in addresses]
    line = await Line.to(process)
    try:
        await line.send(b"LHLO client.example\r\nMAIL FROM:<s@b.example>\r\n")
        await line.send(b"".join(b"RCPT TO:<%s>\r\n" % each.encode() for each in addresses) + b"DATA\r\n")
        await line.until(b"354")
        await line.until(b"\r\n")
        await line.send((b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        for attempt in attempts:
            reply = await line.until(b"\r\n")
            attempt.end("ok" if reply.startswith(b"2") else "fail", reply)
    except (EOFError, OSError):
        for attempt in attempts:
            if attempt.operation is None:
                attempt.end("unknown")
    finally:
        line.close()


async def last_look(stage: Stage) -> None:
    """Read every maildrop whole at a front end that was just started, long after everything else."""
    stage.clock.seconds += 120
    process = await stage.front(private=True)
    for address, secret in stage.secrets.items():
        final = stage.recorder.begin("auditor", "final", None, address)
        # What its session hears is told by `final` alone.
        client = await Pop3Client.at(Stage(stage.stores, stage.clock), process, "last", address)
        if not await client.log_in(secret):
            final.end("fail")
            continue
        octets = await client.list()
        ids = await client.uidl()
        came = {ids[number]: await client.retr(number) for number in ids}
        each: dict[str, Any] = {name: _each(came, name) for name in ("sha256", "sent", "text")}
        await client.quit()
        final.end("ok", ids=list(ids.values()), octets=[octets[number] for number in ids], **each)


def _each(came: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """One fact of each message that came."""
    return {unique_id: facts[name] for unique_id, facts in came.items() if facts}
