"""The command table: every command POP3 has, where it is valid, what it takes and what it does.

Owns the one list of commands. A keyword that isn't here is unknown; `LANG` and `APOP` are not
offered (RFC 6856 §3, RFC 1939 §7).
RFC 1939 §9, RFC 2449 §5, RFC 2595 §4, RFC 5034 §4, RFC 6856 §2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.protocol.pop3 import authorization, commands, transaction
from service.protocol.pop3.commands import State


@dataclass(frozen=True, slots=True)
class Command:
    """One row: `parse` turns what follows the keyword into the arguments of `act`."""

    keyword: str
    states: frozenset[State]
    parse: Callable[[bytes | None], tuple[Any, ...]]
    act: Callable[..., None]


_BEFORE = frozenset({State.AUTHORIZATION})
_AFTER = frozenset({State.TRANSACTION})
_BOTH = _BEFORE | _AFTER

_ROWS = (
    Command("CAPA", _BOTH, commands.nothing, authorization.capa),
    Command("STLS", _BEFORE, commands.nothing, authorization.stls),
    Command("UTF8", _BEFORE, commands.nothing, authorization.utf8),
    Command("USER", _BEFORE, commands.name, authorization.user),
    Command("PASS", _BEFORE, commands.password, authorization.pass_),
    Command("AUTH", _BEFORE, commands.mechanism, authorization.auth),
    Command("QUIT", _BOTH, commands.nothing, transaction.quit_),
    Command("STAT", _AFTER, commands.nothing, transaction.stat),
    Command("LIST", _AFTER, commands.optional_number, transaction.list_),
    Command("UIDL", _AFTER, commands.optional_number, transaction.uidl),
    Command("RETR", _AFTER, commands.number, transaction.retr),
    Command("TOP", _AFTER, commands.number_and_lines, transaction.top),
    Command("DELE", _AFTER, commands.number, transaction.dele),
    Command("NOOP", _AFTER, commands.nothing, transaction.noop),
    Command("RSET", _AFTER, commands.nothing, transaction.rset),
)

# RFC 1939 §3: "Commands in the POP3 consist of a case-insensitive keyword": it is looked up in upper case.
TABLE: dict[bytes, Command] = {row.keyword.encode(): row for row in _ROWS}
VALID: dict[State, dict[bytes, Command]] = {
    state: {keyword: row for keyword, row in TABLE.items() if state in row.states} for state in State
}
"""Those that are valid in each state."""
