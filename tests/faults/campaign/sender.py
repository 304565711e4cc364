"""Clients that deliver by LMTP, and try again what was refused for now or not answered.

Owns the attempts: the same text goes to the same recipients until each has answered 250 or its tries are used up.
RFC 2033 §4.2 (a reply for each recipient), RFC 5321 §4.5.4.1 (the sender keeps what wasn't taken), RFC 3030 §2 (BDAT).
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

from tests.faults.campaign.accounts import Account
from tests.faults.campaign.house import LMTPS, House
from tests.faults.campaign.lines import Line, LineLostError, dial
from tests.faults.campaign.texts import Text, make_text
from tests.faults.operations import Pending, Recorder

TRIES = 8
_identities = count(1)


@dataclass(eq=False)
class Sender:
    """One mail server."""

    house: House
    accounts: Sequence[Account]
    recorder: Recorder
    name: str
    dice: random.Random

    async def work(self, stop: asyncio.Event) -> None:
        """One text after another until `stop` is set."""
        while not stop.is_set():
            text = make_text(next(_identities), self.dice)
            left = self.dice.sample(self.accounts, 2 if self.dice.random() < 0.15 else 1)
            for attempt in range(1, TRIES + 1):
                left = await self._once(text, left, attempt)
                if not left or stop.is_set():
                    break
                await asyncio.sleep(self.dice.uniform(0.2, 0.2 * 2**attempt))
            await asyncio.sleep(self.dice.uniform(0.3, 1.2))

    async def _once(self, text: Text, recipients: Sequence[Account], attempt: int) -> list[Account]:
        """One transaction; who hasn't taken the text yet."""
        at = self.dice.choice(LMTPS)
        try:
            line = await dial(self.house.place(at), self.dice)
        except (LineLostError, ConnectionRefusedError):
            return list(recipients)
        taken: list[Account] = []
        try:
            await self._hand_in(line, text, recipients, taken, {"server": at, "attempt": attempt})
        except LineLostError:
            pass
        finally:
            line.drop()
        return [each for each in recipients if each not in taken]

    async def _hand_in(
        self, line: Line, text: Text, recipients: Sequence[Account], taken: list[Account], more: dict[str, object]
    ) -> None:
        await _reply(line, b"LHLO %s.example" % self.name.encode())
        if not (await _reply(line, b"MAIL FROM:<%s@example.org>" % self.name.encode())).startswith(b"250"):
            return
        with ExitStack() as stack:
            waiting: list[tuple[Account, Pending]] = []
            for account in recipients:
                facts = {**text.facts, **more}
                pending = stack.enter_context(self.recorder.begin(self.name, "deliver", None, account.address, **facts))
                reply = await _reply(line, b"RCPT TO:<%s>" % account.address.encode())
                if reply.startswith(b"250"):
                    waiting.append((account, pending))
                else:
                    pending.end("fail", reply)
            if waiting:
                await self._send(line, text, waiting, taken)

    async def _send(
        self, line: Line, text: Text, waiting: Sequence[tuple[Account, Pending]], taken: list[Account]
    ) -> None:
        if self.dice.random() < 0.5:
            await line.say(b"BDAT %d LAST\r\n%s" % (len(text.octets), text.octets))
        else:
            reply = await _reply(line, b"DATA")
            if not reply.startswith(b"354"):
                for _, pending in waiting:
                    pending.end("fail", reply)
                return
            await line.say(text.stuffed)
        for account, pending in waiting:
            reply = await _heard(line)
            pending.end("ok" if reply.startswith(b"250") else "fail", reply)
            if reply.startswith(b"250"):
                taken.append(account)


async def _reply(line: Line, command: bytes) -> bytes:
    await line.say(command + b"\r\n")
    return await _heard(line)


async def _heard(line: Line) -> bytes:
    """The last line of a reply."""
    while (reply := await line.hear())[3:4] == b"-":
        continue
    return reply
