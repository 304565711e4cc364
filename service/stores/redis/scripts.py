"""The Lua files, one for each atomic operation, and commands that carry them.

Owns how a script reaches the server: by its digest, and whole when the server doesn't know it (NOSCRIPT).
All keys of a script share a hash tag and so a slot: Redis Cluster runs them unchanged.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple, cast

import hiredis

Word = str | bytes | int
# Its stub knows tuples of one word alone.
_pack: Callable[[tuple[Word, ...]], bytes] = cast("Any", hiredis.pack_command)


class Command(NamedTuple):
    """A command's words; where they run a script by its digest, `text` is the script."""

    words: tuple[Word, ...]
    text: str = ""

    @property
    def whole(self) -> tuple[Word, ...]:
        """What is sent after NOSCRIPT, or once it is known where to."""
        return ("EVAL", self.text, *self.words[2:]) if self.text else self.words


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua text and the digest by which a server remembers it."""

    text: str
    digest: str

    def on(self, keys: tuple[str, ...], *arguments: Word) -> Command:
        """The command that runs this script on `keys`."""
        return Command(("EVALSHA", self.digest, len(keys), *keys, *arguments), self.text)


def packed(commands: Sequence[tuple[Word, ...]]) -> bytes:
    """The commands as a server reads them: each an array of strings, with its length and theirs (RESP)."""
    return b"".join([_pack(words) for words in commands])


def _load(name: str) -> Script:
    text = (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    # Redis names a script by its SHA-1; nothing is protected by it.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE = _load("acquire")
RENEW = _load("renew")
RELEASE = _load("release")
EVICT = _load("evict")
SEIZE = _load("seize")
MAY_LOG_IN = _load("may_log_in")
ENTER = _load("enter")
STAY = _load("stay")
SPEND = _load("spend")
STANDING = _load("standing")
COUNT = _load("count")
REMEMBER = _load("remember")
