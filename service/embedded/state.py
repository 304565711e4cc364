"""The one folder in which a demo keeps all it has: servers' data, blobs, certificates, passwords.

Owns who may use the folder, and what is remembered between two starts. Refuses to throw away a
folder that it didn't make.
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.embedded.process import EmbeddedError

_LOCK = "demo.lock"
_NOTES = "demo.json"


@contextmanager
def state_folder(path: Path, *, fresh: bool = False) -> Iterator[Path]:
    """The folder, absolute, held by this process alone until the block ends; emptied first if `fresh`.

    Raises EmbeddedError when another demo holds it or when it is somebody else's.
    """
    path = path.resolve()
    _refuse_a_strangers_folder(path)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (path / _LOCK).open("a+") as lock:
        _hold(lock.fileno(), path)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if fresh:
            _empty(path)
        yield path


def _refuse_a_strangers_folder(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise EmbeddedError(f"{path} is not a folder. Choose another one with --state.")
    names = {entry.name for entry in path.iterdir()}
    if names and _LOCK not in names:
        raise EmbeddedError(f"{path} holds files that are not a demo's. Choose another folder with --state.")


def _hold(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = (path / _LOCK).read_text().strip() or "unknown"
        text = f"A demo already runs on {path} (process {holder}). Stop it, or choose another folder with --state."
        raise EmbeddedError(text) from None


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == _LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def recall(state: Path) -> dict[str, Any]:
    """What earlier starts noted; empty at the first one."""
    path = state / _NOTES
    return dict(json.loads(path.read_text())) if path.exists() else {}


def note(state: Path, notes: Mapping[str, Any]) -> None:
    """Replace the notes as a whole. They hold passwords, so only their owner can read them."""
    write_whole(state / _NOTES, json.dumps(notes, indent=2))


def write_whole(path: Path, text: str) -> None:
    """Write a file that no reader ever sees half written, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
