"""A million messages as staff and the sweep see them, and several such maildrops at once.

Owns these steps and what must hold in each. Refuses to say which figure is good. G10, G14, G15. RFC 1939 §7.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from tests.backends.demo import Account, RunningDemo
from tests.cli.conftest import Command
from tests.overload.held import MEBIBYTE
from tests.overload.million import LONG, Run, lines_of, logged_in
from tests.overload.million_rows import age_removed, left_of, remove_all, site_settings
from tests.system.front_end import without_poplar

RESTORED = 1000
"""As many as may be restored by one request."""
WEEKS = 30
"""Days that are more than any retention."""


@dataclass
class Staff:
    """The admin API of a demo, for one maildrop."""

    client: httpx.Client
    path: str

    def asked(self, what: str = "") -> object:
        """What it answers."""
        answer = self.client.get(self.path + what)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def restored(self, unique_ids: Sequence[str]) -> int:
        """How many of these are listed again."""
        answer = self.client.post(f"{self.path}/removed-messages/restore", json={"unique_ids": unique_ids})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["messages"])


@contextmanager
def staff(demo: RunningDemo, account: Account, folder: Path) -> Iterator[Staff]:
    """The admin API as a program of its own, with a token that may do everything."""
    folder.mkdir()
    (folder / "poplar.yaml").write_text(yaml.safe_dump(site_settings(demo) | {"http": {"port": 0}}), "utf-8")
    token = json.loads(demo.poplar("token", "create", "million", "--scope", "full", "--json"))["token"]
    command = Command(["--config", str(folder / "poplar.yaml"), "api"], without_poplar(), folder)
    try:
        command.await_said('"event":"serving"')
        said = [json.loads(line) for line in command.said.splitlines() if line.startswith("{")]
        url = next(line["http"] for line in said if line["event"] == "serving")
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=LONG) as client:
            yield Staff(client, f"/v1/tenants/{account.tenant}/maildrops/{account.address}")
    finally:
        command.process.kill()
        command.process.wait()


def crowding(run: Run, accounts: Sequence[Account]) -> None:
    """A client of each of several such maildrops asks for all unique-ids, all at once."""

    def one(account: Account) -> int:
        with closing(logged_in(run.place, account)) as wire:
            lines = lines_of(wire, b"UIDL")
            assert wire.say(b"QUIT").startswith(b"+OK")
        return lines

    with run.step(f"UIDL of {len(accounts)} such maildrops at once"), ThreadPoolExecutor(len(accounts)) as pool:
        assert list(pool.map(one, accounts)) == [run.messages] * len(accounts)


def staffing(run: Run, folder: Path) -> None:
    """Staff look at the maildrop, all of whose messages were removed, and restore some."""
    remove_all(run.demo, run.account)
    with staff(run.demo, run.account, folder) as desk:
        with run.step("staff: the maildrop, its usage"):
            desk.asked()
            desk.asked("/usage")
        with run.step("staff: what was removed"):
            removed = desk.asked("/removed-messages")
        assert isinstance(removed, dict)
        ids = [each["unique_id"] for each in removed["items"]][:RESTORED]
        with run.step(f"staff: restore {len(ids)}"):
            assert desk.restored(ids) == len(ids)
    run.messages = len(ids)
    with run.step("login, UIDL after it"), closing(run.session()) as wire:
        assert lines_of(wire, b"UIDL") == run.messages


def sweeping(run: Run) -> float:
    """`poplar sweep` deletes for good what was removed long ago, and nothing else; the MiB it came to."""
    age_removed(run.demo, run.account, WEEKS)
    config = run.demo.state / "state" / "poplar.yaml"
    command = [sys.executable, "-m", "service", "--config", str(config), "sweep"]
    with run.step("poplar sweep"):
        process = subprocess.Popen(command, env=without_poplar())
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    assert left_of(run.demo, run.account) == (run.messages, 0)
    return used.ru_maxrss * 1024 / MEBIBYTE
