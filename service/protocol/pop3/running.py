"""One line of a client: the command that it is, or the response to a challenge.

Owns how a line finds its row of the table and what is answered where there is none. Refuses to know where lines come
from and what commands do.
RFC 1939 §3 (commands), RFC 2449 §4 (the longest command), RFC 5034 §4 (lines of an exchange).
"""

from typing import TYPE_CHECKING

from service.model.ending import Ending
from service.protocol.foreign import is_foreign
from service.protocol.lines import Overlong
from service.protocol.pop3 import responses
from service.protocol.pop3.authentication import Authentication
from service.protocol.pop3.commands import MAX_LINE_OCTETS, SyntaxRefusedError, split
from service.protocol.pop3.table import TABLE, Command

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session

OTHER = "other"
"""Stands for every keyword outside the table, where verbs are counted."""


def run(session: "Session", line: bytes | Overlong) -> None:
    """Run one line: a command, or the response to a challenge."""
    if session.strangers_turn and is_foreign(line.start if isinstance(line, Overlong) else line):
        session.close(Ending.FOREIGN)
    elif isinstance(line, Overlong):
        _refuse_overlong(session)
    elif session.authentication.under_way:
        session.authentication.answer(session, line)
    elif len(line) + 2 > MAX_LINE_OCTETS and line[:5].upper() != b"AUTH ":
        # RFC 2449 §4: "Servers which support the CAPA command MUST support commands up to 255 octets." We take
        # 512, and AUTH more (RFC 5034 §4).
        _refuse_overlong(session)
    else:
        _command(session, line)


def _command(session: "Session", line: bytes) -> None:
    session.verb = OTHER
    try:
        keyword, rest = split(line)
    except SyntaxRefusedError:
        session.authentication.forget_name()
        session.respond(responses.SYNTAX_ERROR)
        return
    command = TABLE.get(keyword)
    if command is None:
        # RFC 1939 §3: "A server MUST respond to an unrecognized, unimplemented, or syntactically
        # invalid command by responding with a negative status indicator."
        session.authentication.forget_name()
        session.respond(responses.UNKNOWN_COMMAND)
    else:
        session.verb = command.keyword
        _dispatch(session, command, rest)


def _dispatch(session: "Session", command: Command, rest: bytes | None) -> None:
    if command.keyword != "PASS":
        session.authentication.forget_name()
    if session.state not in command.states:
        # RFC 1939 §3: "A server MUST respond to a command issued when the session is in an incorrect state
        # by responding with a negative status indicator."
        session.respond(responses.WRONG_STATE)
        return
    try:
        arguments = command.parse(rest)
    except SyntaxRefusedError:
        session.authentication.forget_name()
        session.respond(responses.SYNTAX_ERROR)
        return
    command.act(session, *arguments)


def _refuse_overlong(session: "Session") -> None:
    in_exchange = session.authentication.under_way
    if not in_exchange:
        session.verb = OTHER
    session.authentication = Authentication()
    session.respond(responses.LINE_TOO_LONG)
    if in_exchange:
        session.close(Ending.LINE_TOO_LONG)
