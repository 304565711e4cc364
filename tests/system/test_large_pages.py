"""A front end whose interpreter's code stands on large pages serves as any other, and says so."""

import json
import poplib
import ssl
from contextlib import closing
from pathlib import Path

from tests.backends.demo import RunningDemo
from tests.system.front_end import front_end

CAUSES = {"the kernel gave no large page", "the kernel's transparent_hugepage/enabled is never"}


def test_a_front_end_serves_from_large_pages(demo: RunningDemo, tmp_path: Path) -> None:
    account, trust = demo.new_account(), ssl.create_default_context(cafile=demo.ca_file)
    with front_end(demo, tmp_path / "front", process={"large_pages": True}) as front:
        place = front.place()
        for _ in range(3):
            with closing(poplib.POP3_SSL(place.host, place.port, context=trust, timeout=30)) as client:
                client.user(account.address)
                client.pass_(account.password)
                client.stat()
                client.quit()
        lines = [json.loads(line) for line in front.command.said.splitlines() if line.startswith("{")]
        told = [line for line in lines if "large pages" in line["event"]]
        maps = Path(f"/proc/{front.pid}/maps").read_text()
    moved = [line for line in maps.splitlines() if line.split()[1] == "r-xp" and line.split()[4:] == ["0"]]
    if told[0]["event"] == "large pages":
        assert told[0]["octets"] >= 2 * 1024 * 1024
        assert moved
    else:
        # Only a machine that has none to give has the code stay where it was.
        assert told[0]["cause"] in CAUSES
        assert not moved
