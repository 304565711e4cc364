"""`make load` in its shortest form: every kind of work is done on a real site without an error. Asserts no speed."""

import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.load import __main__ as command
from tests.load import bench, works
from tests.load.poplar_site import Backends
from tests.load.program import LoadError
from tests.load.target import Target
from tests.load.test_client import server
from tests.load.works import WORKS, Work

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="the load tool needs Linux and cc"
)
WORK_NAMES = ("poll-16", "drain", "remove", "large", "commands", "deliver", "hello", "tls", "long-uidl", "mix")


def smaller(work: Work) -> Work:
    """The same with few and small maildrops, each seen once however long that takes."""
    kind = work.kind
    few = replace(
        kind, maildrops=min(kind.maildrops, 8), messages=min(kind.messages, 5), octets=min(kind.octets, 50_000)
    )
    return replace(
        work, kind=few, options={**work.options, "clients": min(4, few.maildrops)}, once=work.name != "commands"
    )


@pytest.mark.timeout(200)
def test_every_kind_of_work_is_done_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "WORKS", tuple(map(smaller, WORKS)))
    monkeypatch.setattr(command, "IDLE", replace(works.IDLE, maildrops=20))
    bounds = ["--seconds", "0.3", "--runs", "1", "--sessions", "20"]
    options = [*bounds, "--floor", "--json", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", ["load", *options, *WORK_NAMES, "idle", "idle-tls"])
    command.main()
    told = json.loads((tmp_path / "figures.json").read_text())
    assert set(told["works"]) == {*WORK_NAMES, "idle", "idle-tls"}
    # The commands alone go on for so many seconds, in which a busy machine may come to none.
    failed = {name for name, each in told["works"].items() if "error" in each}
    assert failed <= {"commands"}, capsys.readouterr().out
    sites = {work.name: work.site for work in WORKS}
    assert all(told["works"][name][sites[name]]["median"] > 0 for name in WORK_NAMES if name != "commands")
    # What twenty sessions in clear take is less than what a process may give back meanwhile; TLS takes more.
    assert "front" in told["works"]["idle"]["idle"]["kib"]
    assert told["works"]["idle-tls"]["idle-tls"]["kib"]["front"] > 0
    assert {name for name, each in told["works"].items() if "Floor" in each} == {"poll-16", "hello"}


def test_works_are_told_apart_by_name_and_ask_for_sites_that_there_are() -> None:
    assert len({work.name for work in WORKS}) == len(WORKS)
    assert {work.site for work in WORKS} <= {*bench.SITES, "s3", "s3 far"}


def test_a_run_in_which_nothing_was_done_is_an_error_and_no_figure() -> None:
    with server(STAT=b"+OK 0 0\r\n", LIST=b"+OK\r\n.\r\n") as empty, ExitStack() as stack:
        target = Target("empty", {"pop3": empty.server_address[1]}, {}, proxy=False)
        ready = bench.Bench(cast("Backends", None), stack, bench.Bounds(0.2, 1, 0.1), {"empty": target})
        drain = smaller(next(work for work in WORKS if work.name == "drain"))
        alone = replace(drain.kind, maildrops=1)
        with pytest.raises(LoadError, match="nothing of what is counted"):
            ready.compared(replace(drain, kind=alone, options={"mode": "drain", "clients": 1}, site="empty", beside=""))
