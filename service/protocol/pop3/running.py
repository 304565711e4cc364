"""One line of a client: the command that it is, or the response to a challenge.

Owns how a line finds its row of the table and what is answered where there is none. Refuses to know where lines come
from and what commands do.
RFC 1939 §3 (commands), RFC 2449 §4 (the longest command), RFC 5034 §4 (lines of an exchange).
"""

from typing import TYPE_CHECKING, Any

from service.model.ending import Ending
from service.protocol.foreign import is_foreign
from service.protocol.lines import Overlong
from service.protocol.pop3 import responses
from service.protocol.pop3.authentication import Authentication
from service.protocol.pop3.commands import MAX_LINE_OCTETS, State, SyntaxRefusedError, split
from service.protocol.pop3.table import TABLE, Command

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session

OTHER = "other"
"""Stands for every keyword outside the table, where verbs are counted."""


def run(session: "Session", line: bytes | Overlong) -> None:
    """Run one line: a command, or the response to a challenge."""
    if isinstance(line, Overlong):
        if session.strangers_turn and is_foreign(line.start):
            session.close(Ending.FOREIGN)
        else:
            _refuse_overlong(session)
    elif session.authentication.under_way:
        session.authentication.answer(session, line)
    elif session.state is State.AUTHORIZATION and is_foreign(line):
        session.close(Ending.FOREIGN)
    elif len(line) + 2 > MAX_LINE_OCTETS and line[:5].upper() != b"AUTH ":
        # RFC 2449 §4: "Servers which support the CAPA command MUST support commands up to 255 octets." We take
        # 512, and AUTH more (RFC 5034 §4).
        _refuse_overlong(session)
    else:
        _command(session, line)


def _command(session: "Session", line: bytes) -> None:
    session.verb = OTHER
    command: Command | None = None
    arguments: tuple[Any, ...] | None = None
    try:
        keyword, rest = split(line)
        command = TABLE.get(keyword)
        if command is not None:
            session.verb = command.keyword
            if session.state in command.states:
                arguments = command.parse(rest)
    except SyntaxRefusedError:
        session.authentication.name = None
        session.respond(responses.SYNTAX_ERROR)
        return
    if command is None or command.keyword != "PASS":
        # RFC 1939 §7: PASS may only follow a successful USER immediately.
        session.authentication.name = None
    if command is None:
        # RFC 1939 §3: "A server MUST respond to an unrecognized, unimplemented, or syntactically
        # invalid command by responding with a negative status indicator."
        session.respond(responses.UNKNOWN_COMMAND)
    elif arguments is None:
        # RFC 1939 §3: "A server MUST respond to a command issued when the session is in an incorrect state
        # by responding with a negative status indicator."
        session.respond(responses.WRONG_STATE)
    else:
        command.act(session, *arguments)


def _refuse_overlong(session: "Session") -> None:
    in_exchange = session.authentication.under_way
    if not in_exchange:
        session.verb = OTHER
    session.authentication = Authentication()
    session.respond(responses.LINE_TOO_LONG)
    if in_exchange:
        session.close(Ending.LINE_TOO_LONG)
