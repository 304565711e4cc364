"""What Dovecot has told its clients of the messages of a Maildir: its list of unique-ids, and how it makes UIDLs of it.

Owns the list's versions 1 and 3 and `pop3_uidl_format`, as Dovecot 2.3 expands it. Refuses to read files.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5

from service.mail.archives import valid_unique_id
from service.model.refusal import Reason, Refusal

DEFAULT_FORMAT = "%08Xu%08Xv"

_HEAD = re.compile(r"(?:1 (?P<first>\d{1,10}) \d+|3 (?:.* )?V(?P<validity>\d{1,10})(?: .*)?)")
_FIRST_ENTRY = re.compile(r"(?P<uid>\d{1,10})(?P<facts>) (?P<name>[^: ].*)")
_ENTRY = re.compile(r"(?P<uid>\d{1,10})(?P<facts>(?: [A-Z]\S*)*) :(?P<name>.+)")
_KEPT = re.compile(r"(?:^| )P(?P<unique_id>\S*)")
_GUID = re.compile(r"(?:^| )G(?P<guid>\S+)")

# %[[-]offset.][0][width][modifiers]variable, or the names that Dovecot 2.4 has instead. What else is between them must
# be allowed in a unique-id.
_PART = re.compile(
    r"%(?:(?P<offset>-?\d{1,3})\.)?(?P<zero>0?)(?P<width>\d{0,3})(?P<modifiers>[LUXM]*)(?P<variable>[uvfg])"
    r"|%\{ *(?P<long>uid|uidvalidity|filename|guid)(?P<hex> *\| *hex\(8\))? *\}|(?P<text>%%|[!-$&-~])"
)
_LONG = {"uid": "u", "uidvalidity": "v", "filename": "f", "guid": "g"}
_MODIFIERS: Mapping[str, Callable[[str], str]] = {
    "L": str.lower,
    "U": str.upper,
    "X": lambda text: f"{int(text):x}" if text.isdecimal() else "0",
    "M": lambda text: md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of the list."""

    uid: int
    validity: int
    """IMAP's UIDVALIDITY of the whole list."""
    name: str
    """The file's, without flags."""
    guid: str

    def variable(self, letter: str) -> str:
        """What `%` and this letter stand for."""
        return {"u": str(self.uid), "v": str(self.validity), "f": self.name, "g": self.guid}[letter]


class UidlFormat:
    """Dovecot's `pop3_uidl_format`. Raises Refusal(INVALID) for one that can't be made of a list."""

    def __init__(self, text: str) -> None:
        self._parts = _parts(text)
        variables = {part["variable"] or _LONG.get(part["long"]) for part in self._parts}
        self.takes_files = bool(variables & {"f", "g"})
        """It takes more than numbers: names of files, which an mbox hasn't."""
        if not variables & {"u", "f", "g"}:
            raise Refusal(Reason.INVALID, f"the format {text} needs %u, %f or %g to tell messages apart")

    def of(self, listed: Listed) -> str | None:
        """The UIDL, if a server may serve it."""
        return valid_unique_id("".join(_expanded(part, listed) for part in self._parts))

    def of_numbers(self, uid: int, validity: int) -> str | None:
        """The same of a message that is no file; for a format that takes none."""
        return self.of(Listed(uid, validity, "", ""))


def _parts(text: str) -> "Sequence[re.Match[str]]":
    parts: list[re.Match[str]] = []
    while rest := text[parts[-1].end() if parts else 0 :]:
        part = _PART.match(text, len(text) - len(rest))
        if part is None:
            wrong = f"the format {text} can't be made from {rest} on"
            raise Refusal(Reason.INVALID, f"{wrong}: known are %u, %v, %f and %g, with L, U, X, M and a width")
        parts.append(part)
    return parts


def _expanded(part: "re.Match[str]", listed: Listed) -> str:
    if part["text"]:
        return part["text"][0]
    if part["long"]:
        value = listed.variable(_LONG[part["long"]])
        return f"{int(value):08x}" if part["hex"] and value.isdecimal() else value
    value = listed.variable(part["variable"])
    for modifier in part["modifiers"]:
        value = _MODIFIERS[modifier](value)
    value, width = value[int(part["offset"] or 0) :], int(part["width"] or 0)
    if part["zero"]:
        return value.rjust(width, "0")
    return value[:width] if width else value


def unique_ids(lines: Sequence[str], uidl: UidlFormat) -> Mapping[str, str | None] | None:
    """The UIDL of each listed file by its name without flags, None where no server may serve it; None for no list.

    It is what Dovecot has served: the one it was told to keep (a P record; an empty one is the file's name), else the
    one that it makes.
    """
    head = _HEAD.fullmatch(lines[0]) if lines else None
    if head is None:
        return None
    entry, validity = _FIRST_ENTRY if head["first"] else _ENTRY, int(head["first"] or head["validity"])
    entries = (found for line in lines[1:] if (found := entry.fullmatch(line)))
    return dict(_served(found, validity, uidl) for found in entries)


def _served(entry: "re.Match[str]", validity: int, uidl: UidlFormat) -> tuple[str, str | None]:
    name, kept, guid = entry["name"].partition(":")[0], _KEPT.search(entry["facts"]), _GUID.search(entry["facts"])
    if kept:
        return name, valid_unique_id(kept["unique_id"] or name)
    return name, uidl.of(Listed(int(entry["uid"]), validity, name, guid["guid"] if guid else name))
