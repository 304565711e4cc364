"""What the definitions of custom kinds (Gateway API, KEDA, cert-manager, ...) say of objects; needs Node.js.

Owns that the validators are installed once, into `.tools/`. They check types, enums and what is required; they let pass
a field that no definition knows.
"""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.backends.packages import SECONDS, TOOLS
from tests.helm.charting import Object

HERE = Path(__file__).parent / "custom_kinds"
PLACE = TOOLS / "custom-kinds"
NAMES = ("package.json", "package-lock.json", "check.mjs")


def complaints(objects: Sequence[Object]) -> dict[str, str]:
    """What is wrong, by kind and name. Skips where Node.js or the validators can't be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the kinds of other projects are checked by Node.js, which isn't here")
    _install(npm)
    done = subprocess.run(
        [node, PLACE / "check.mjs"],
        input=json.dumps([_known(each) for each in objects]),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _known(each: Object) -> Object:
    """The object; a TCPRoute as of the version before v1, which the validators don't know: its fields are the same."""
    return each | {"apiVersion": "gateway.networking.k8s.io/v1alpha2"} if each["kind"] == "TCPRoute" else each


def _install(npm: str) -> None:
    TOOLS.mkdir(exist_ok=True)
    lock = "".join((HERE / name).read_text("utf-8") for name in NAMES)
    with (TOOLS / "custom-kinds.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if (PLACE / "done").exists() and (PLACE / "done").read_text("utf-8") == lock:
            return
        PLACE.mkdir(exist_ok=True)
        for name in NAMES:
            shutil.copy(HERE / name, PLACE / name)
        command = [npm, "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=PLACE, capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode:
            pytest.skip(f"the validators of other projects' kinds can't be installed: {done.stderr[-300:]}")
        (PLACE / "done").write_text(lock, "utf-8")
