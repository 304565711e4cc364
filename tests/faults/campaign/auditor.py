"""The last session of each maildrop, once all is mended: what is there in the end.

Owns one `final` operation a maildrop. Refuses to judge it.
"""

import asyncio
import random
from typing import Any

from tests.faults.campaign.accounts import Account, secret
from tests.faults.campaign.house import FRONTS, House
from tests.faults.campaign.lines import Line, LineLostError, dial
from tests.faults.campaign.texts import received
from tests.faults.campaign.waiting import until_told
from tests.faults.operations import Recorder

NAME = "auditor"
PATIENCE = 120.0


async def audit(house: House, account: Account, recorder: Recorder) -> None:
    """Read a whole maildrop. Raises TimeoutError where no session brings all of it within PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        await until_told(lambda: _audited(house, account, recorder), 0.2)


async def _audited(house: House, account: Account, recorder: Recorder) -> bool:
    try:
        line = await dial(house.place(FRONTS[0]), random.Random(1))
    except LineLostError:
        return False
    try:
        for serial in reversed(account.serials):
            await line.ask(f"USER {account.address}".encode())
            if (await line.ask(f"PASS {secret(serial)}".encode())).startswith(b"+OK"):
                return await _all_of_it(line, recorder, account)
    except LineLostError:
        return False
    finally:
        line.drop()
    return False


async def _all_of_it(line: Line, recorder: Recorder, account: Account) -> bool:
    final = recorder.begin(NAME, "final", NAME, account.address)
    ids = {int(n): i.decode() for n, i in map(bytes.split, await _listing(line, b"UIDL"))}
    octets = {int(n): int(o) for n, o in map(bytes.split, await _listing(line, b"LIST"))}
    texts: dict[str, dict[str, Any]] = {}
    for number, unique_id in ids.items():
        if not (await line.ask(b"RETR %d" % number)).startswith(b"+OK"):
            return False
        texts[unique_id] = received(b"".join(await line.lines())).facts
    answer = await line.ask(b"QUIT")
    each = {name: {i: facts[name] for i, facts in texts.items()} for name in ("sha256", "sent", "text")}
    final.end("ok", answer, ids=list(ids.values()), octets=[octets[number] for number in ids], **each)
    return True


async def _listing(line: Line, command: bytes) -> list[bytes]:
    if not (await line.ask(command)).startswith(b"+OK"):
        raise LineLostError
    return await line.lines()
