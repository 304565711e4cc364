"""The Lua files, one for each atomic operation, and commands that carry them.

Owns how a script reaches the server: by its digest, and whole when the server doesn't know it (NOSCRIPT).
All keys of a script share a hash tag and so a slot: Redis Cluster runs them unchanged.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import hiredis

Word = str | bytes | int
Command = tuple[Word, ...]
"""A command's words."""
BY_DIGEST = "EVALSHA"
_texts: dict[Word, str] = {}
"""The scripts by their digests."""
# Its stub knows tuples of one word alone.
pack: Callable[[Command], bytes] = cast("Any", hiredis.pack_command)
"""A command as a server reads it: an array of strings, with its length and theirs (RESP)."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua text and the digest by which a server remembers it; each command that runs it begins with `head`."""

    text: str
    digest: str
    head: Command

    def on(self, keys: tuple[str, ...], *arguments: Word) -> Command:
        """The command that runs this script on `keys`."""
        return self.head + keys + arguments


def whole(command: Command) -> Command:
    """What is sent after NOSCRIPT, or once it is known where to: a script's text instead of its digest."""
    return ("EVAL", _texts[command[1]], *command[2:]) if command[0] == BY_DIGEST else command


def key_of(command: Command) -> str:
    """The first key of a command that has one: it tells which server the command goes to."""
    return str(command[3] if command[0] == BY_DIGEST else command[1])


def packed(commands: Sequence[Command]) -> bytes:
    """All of them."""
    return b"".join(map(pack, commands))


def _load(name: str, keys: int = 1) -> Script:
    text = (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    # Redis names a script by its SHA-1; nothing is protected by it.
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    _texts[digest] = text
    return Script(text, digest, (BY_DIGEST, digest, str(keys)))


ACQUIRE = _load("acquire", keys=2)
RENEW = _load("renew", keys=2)
RELEASE = _load("release", keys=2)
EVICT = _load("evict", keys=2)
SEIZE = _load("seize", keys=2)
MAY_LOG_IN = _load("may_log_in")
ENTER = _load("enter")
STAY = _load("stay")
SPEND = _load("spend")
STANDING = _load("standing")
COUNT = _load("count")
REMEMBER = _load("remember")
