"""What a client's TLS can make a front end write: lines of its own form alone, whatever name it asks for.

RFC 6066 §3: a server name is ASCII. G17.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.system.front_end import FrontEnd, front_end

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
NAMES = (b"\xff\xfe", b"xn--\x80", b"a" * 300, b"a..b", b"\x1b[2J", b"mail.example\r\nfake: line", b"*", b".")


def shaken(front: FrontEnd, name: bytes) -> None:
    command: list[str | bytes] = ["openssl", "s_client", "-quiet", "-connect", str(front.place()), "-servername", name]
    subprocess.run(command, input=b"QUIT\r\n", capture_output=True, check=False, timeout=60)


@openssl
@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_handshake_for_any_name_leaves_whole_lines_in_the_log(demo: RunningDemo, tmp_path: Path, level: str) -> None:
    logging = {"format": "json", "level": level}
    with front_end(demo, tmp_path / "front", logging=logging) as front:
        for name in NAMES:
            shaken(front, name)
        shaken(front, b"mail.orchard.example")
        front.command.await_said('"server_name":"mail.orchard.example"')
        lines = front.command.said.splitlines()
    told = [json.loads(line) for line in lines]
    assert all("event" in line for line in told)
    assert not any(line["event"] == "an exception was lost" for line in told)


def test_a_process_that_dies_of_a_defect_says_so_in_one_line_without_secrets(demo: RunningDemo, tmp_path: Path) -> None:
    with front_end(demo, tmp_path / "front", program="tests.system.crashing") as front:
        assert front.command.process.wait(60) == 1
    last = json.loads(front.command.said.splitlines()[-1])
    assert last["event"] == "crashed"
    assert "RuntimeError: no such system: redis://:********@cache" in last["exception"]
    assert "hunter2" not in front.command.said
