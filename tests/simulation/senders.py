"""Clients by seed that deliver, each text again until it is answered 250, or they give up.

Owns what a sender notes. Refuses to judge. RFC 2033 §4.2.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence

from tests.faults.operations import Pending
from tests.simulation.readers import LeftError
from tests.simulation.site import Site
from tests.simulation.wires import Client, GoneError
from tests.simulation.world import text_of

OCTETS = (0, 100, 100, 1500, 6000)


class Sender:
    """Delivers texts, each again until it is answered 250, or the sender gives up."""

    def __init__(self, site: Site, name: str, number: int) -> None:
        self._site = site
        self._dice = site.loop.dice
        self._name = name
        self._number = 1000 * number
        self._address = f"198.51.100.{number}"

    async def run(self, texts: int) -> None:
        """So many texts, each for one maildrop or for several."""
        for _ in range(texts):
            await asyncio.sleep(self._dice.choice((0.0, 2.0, 10.0)) * self._dice.random())
            self._number += 1
            text = text_of(self._number, self._dice.choice(OCTETS))
            addresses = sorted(self._site.world.keys)
            left = self._dice.sample(addresses, self._dice.randrange(1, len(addresses) + 1))
            for _ in range(self._dice.choice((1, 4))):
                left = await self.deliver(left, text)
                if not left:
                    break
                await asyncio.sleep(5.0 * self._dice.random())

    async def deliver(self, addresses: Sequence[str], text: bytes) -> list[str]:
        """Deliver once; those for whom it was not answered 250."""
        client = self._site.connect("lmtp", self._address)
        if client is None:
            return list(addresses)
        digest = hashlib.sha256(text).hexdigest()
        facts = {"text": self._number, "octets": len(text), "sha256": digest}
        begin = self._site.recorder.begin
        pending = [begin(self._name, "deliver", None, address, **facts) for address in addresses]
        try:
            await self._transaction(client, pending, text)
        except (GoneError, LeftError):
            pass
        finally:
            client.close()
            for op in pending:
                if op.operation is None:
                    op.end("unknown")
        return [a for a, op in zip(addresses, pending, strict=True) if op.operation and op.operation.outcome != "ok"]

    async def _transaction(self, client: Client, pending: Sequence[Pending], text: bytes) -> None:
        await client.line()
        client.send(b"LHLO client.example\r\n")
        while (await client.line())[3:4] == b"-":
            continue
        client.send(b"MAIL FROM:<from@example.com> SIZE=%d\r\n" % len(text))
        await client.line()
        taken = []
        for op in pending:
            client.send(f"RCPT TO:<{op.maildrop}>\r\n".encode())
            answer = await client.line()
            if answer.startswith(b"250"):
                taken.append(op)
            else:
                op.end("fail", answer)
        if not taken:
            return
        client.send(b"DATA\r\n")
        answer = await client.line()
        if answer.startswith(b"354"):
            await self._send(client, re.sub(rb"^\.", b"..", text, flags=re.MULTILINE) + b".\r\n")
        accepted = answer.startswith(b"354")
        for op in taken:
            answer = await client.line() if accepted else answer
            op.end("ok" if answer.startswith(b"250") else "fail", answer)

    async def _send(self, client: Client, text: bytes) -> None:
        if self._dice.random() < self._site.faults.weather.leaves:
            client.send(text[: self._dice.randrange(len(text))])
            client.vanish()
            raise LeftError
        half = len(text) // 2
        client.send(text[:half])
        if self._dice.random() < 0.2:
            await asyncio.sleep(self._dice.choice((0.5, 5.0)))
        client.send(text[half:])
