"""The data directory of an embedded Postgres, and the lock file in it.

Owns how the directory is made and what an interrupted or crashed run left in it. Refuses to start a server.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from service.embedded.postgres_program import command, nobody, server_user
from service.embedded.process import EmbeddedError, is_root

OWNER = "poplar"


def owner_password(path: Path) -> str:
    """The password of the owner `OWNER`, made up at the first call."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(18))
        draft.rename(path)
    return path.read_text().strip()


def initialise(state: Path, durable: bool) -> None:
    """Make the data directory; a half-made one of an interrupted run is thrown away.

    Raises EmbeddedError in plain words.
    """
    if (state / "data").exists():
        _refuse_anothers_data(state / "data")
        return
    draft = state / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if is_root():
        os.chown(draft, *nobody())
    arguments = ["-D", str(draft), "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={state / 'password'}"]
    arguments += ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    arguments += [] if durable else ["--no-sync"]
    _run(command("initdb", arguments), state)
    draft.rename(state / "data")


def _refuse_anothers_data(data: Path) -> None:
    """Postgres serves only what its own user owns, and that user follows from who made the data: root or not."""
    owner, wanted = data.stat().st_uid, server_user()
    if owner != wanted:
        raise EmbeddedError(f"{data} was made by another user (id {owner}). Run as that user, or use another folder.")


def _run(arguments: Sequence[str], state: Path) -> None:
    done = subprocess.run(arguments, cwd=state, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    hint = ""
    if is_root() and "setpriv" in done.stderr:
        hint = (
            "\nThis container may not change users: run as an ordinary user, or grant SETUID, SETGID and DAC_OVERRIDE."
        )
    raise EmbeddedError(f"The embedded Postgres could not be set up in {state}:\n{done.stderr.strip()}{hint}")


def _lock_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def says_ready(data: Path, pid: int) -> bool:
    """Whether the server `pid` has written that it takes connections."""
    lines = _lock_lines(data)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def clear_stale_lock(data: Path) -> None:
    """Remove the lock file of a run that is over, first stopping its server if that still runs.

    Postgres itself would refuse to start where another process has been given the old one's pid.
    """
    lines = _lock_lines(data)
    if not lines:
        return
    pid = int(lines[0]) if lines[0].isdigit() else 0
    if pid and _serves(pid, data):
        _end(pid, 10.0)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether `pid` is a server of this data directory: a postmaster's working directory is its data."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except OSError:
        return False


def _end(pid: int, grace: float) -> None:
    end = time.monotonic() + grace
    os.kill(pid, signal.SIGINT)
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > end:
            raise EmbeddedError(f"An earlier Postgres (process {pid}) still runs on this state and does not stop.")
        time.sleep(0.05)
