"""The Lua files, one for each atomic operation, and commands that carry them.

Owns how a script reaches the server: by its digest, and whole when the server doesn't know it (NOSCRIPT).
All keys of a script share a hash tag and so a slot: Redis Cluster runs them unchanged.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

Word = str | bytes | int


@dataclass(frozen=True, slots=True)
class Command:
    """A command's words; `whole` is sent after NOSCRIPT and is empty for a plain command."""

    words: tuple[Word, ...]
    whole: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua text and the digest by which a server remembers it."""

    text: str
    digest: str

    def on(self, keys: tuple[str, ...], *arguments: Word) -> Command:
        """The command that runs this script on `keys`."""
        rest: tuple[Word, ...] = (len(keys), *keys, *arguments)
        return Command(("EVALSHA", self.digest, *rest), ("EVAL", self.text, *rest))


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
