"""The grammar of POP3's commands: a line in, a keyword and its arguments out.

Owns which octets form a command. Refuses to know what commands mean: the one table that says so
is in `table.py`.
RFC 1939 §3, §9; RFC 2449 §3, §4; RFC 6856 §2.2.
"""

import re
from enum import Enum, auto

MAX_LINE_OCTETS = 512
"""RFC 2449 §4 asks for 255 octets with CRLF; a name of 255 octets and its keyword fit too."""
MAX_AUTH_LINE_OCTETS = 16 * 1024
"""RFC 5034 §4: the longest response of any mechanism, whatever other limits: an OAuth token is KiBs long."""
MAX_NAME_OCTETS = 255

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(rb"0|[1-9][0-9]*")


class State(Enum):
    """RFC 1939 §3: the states of a session."""

    # Each is there once. Enum's own hashes the name, by two calls for each command.
    __hash__ = object.__hash__

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    UPDATE = auto()


class SyntaxRefusedError(ValueError):
    """The line breaks the grammar."""


def check(keyword: bytes, rest: bytes) -> None:
    """Raises SyntaxRefusedError where there is no keyword, or a control character in it, or a NUL in what follows."""
    if not keyword or _CONTROL.search(keyword) or 0 in rest:
        raise SyntaxRefusedError


def nothing(rest: bytes | None) -> tuple[()]:
    """No argument. Deviates: trailing spaces are forgiven, since Outlook sends `AUTH `."""
    if rest and rest.strip(b" "):
        raise SyntaxRefusedError
    return ()


def number(rest: bytes | None) -> tuple[int]:
    """One number."""
    (first,) = _numbers(rest, 1)
    return (first,)


def optional_number(rest: bytes | None) -> tuple[int | None]:
    """One number, or none."""
    if not rest or not rest.strip(b" "):
        return (None,)
    return number(rest)


def number_and_lines(rest: bytes | None) -> tuple[int, int]:
    """RFC 1939 §7 TOP: "a message-number (required) [...] and a non-negative number of lines (required)"."""
    first, second = _numbers(rest, 2)
    return first, second


def name(rest: bytes | None) -> tuple[str]:
    """A maildrop's name: at most 255 octets of UTF-8 without control characters.

    RFC 6856 §2.2: "The server MUST reject UTF-8 usernames or passwords that fail to comply with the formal syntax in
    UTF-8".
    """
    word = (rest or b"").rstrip(b" ")
    if not word or len(word) > MAX_NAME_OCTETS:
        raise SyntaxRefusedError
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise SyntaxRefusedError from error
    # Nothing printable is a control character: nearly no name is searched.
    if not text.isprintable() and _CONTROL_CHARACTER.search(text):
        raise SyntaxRefusedError
    return (text,)


def password(rest: bytes | None) -> tuple[bytes]:
    """RFC 1939 §7 PASS: "a POP3 server may treat spaces in the argument as part of the password"."""
    if rest is None or 0 in rest:
        raise SyntaxRefusedError
    return (rest,)


def mechanism(rest: bytes | None) -> tuple[str, bytes | None]:
    """RFC 5034 §4: a mechanism and an optional initial response; an empty name lists the mechanisms."""
    words = (rest or b"").rstrip(b" ").split(b" ")
    if len(words) > 2 or (len(words) == 2 and not words[0]) or any(_CONTROL.search(word) for word in words):
        raise SyntaxRefusedError
    # RFC 5034 §5: "Except as noted otherwise, all alphabetic characters are case-insensitive."
    wanted = words[0].decode("ascii", "replace").upper()
    return wanted, words[1] if len(words) == 2 else None


def _numbers(rest: bytes | None, count: int) -> list[int]:
    """Exactly `count` numbers in plain decimal: no sign, no leading zero, ASCII digits only."""
    words = (rest or b"").rstrip(b" ").split(b" ")
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise SyntaxRefusedError
    return [int(word) for word in words]
