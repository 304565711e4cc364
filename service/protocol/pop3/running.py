"""One line of a client: the command that it is, or the response to a challenge.

Owns how a line finds its row of the table and what is answered where there is none. Refuses to know where lines come
from and what commands do.
RFC 1939 §3 (commands), RFC 2449 §4 (the longest command), RFC 5034 §4 (lines of an exchange).
"""

from typing import TYPE_CHECKING

from service.model.ending import Ending
from service.protocol.foreign import TLS_RECORD, is_foreign
from service.protocol.lines import Overlong
from service.protocol.pop3 import responses
from service.protocol.pop3.commands import MAX_LINE_OCTETS, State, SyntaxRefusedError, check
from service.protocol.pop3.table import TABLE, VALID

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session

OTHER = "other"
"""Stands for every keyword outside the table, where verbs are counted."""


def run(session: "Session", line: bytes) -> None:
    """Run one line: a command, or the response to a challenge."""
    if session.authentication is not None:
        session.authentication.answer(session, line)
        return
    # RFC 1939 §3: "Keywords and arguments are each separated by a single SPACE character."
    keyword, space, rest = line.partition(b" ")
    command = VALID[session.state].get(keyword.upper())
    if command is None:
        _refuse(session, line)
        return
    session.verb = command.keyword
    if session.named is not None and command.keyword != "PASS":
        # RFC 1939 §7: PASS may only follow a successful USER immediately.
        session.named = None
    try:
        arguments = command.parse(rest if space else None)
    except SyntaxRefusedError:
        session.named = None
        session.respond(responses.SYNTAX_ERROR)
        return
    command.act(session, *arguments)


def run_long(session: "Session") -> bool:
    """Run a line that is longer than most; False where none has ended yet."""
    line = session.lines.take_long()
    if line is None:
        # A TLS ClientHello where a command is due has no line end to wait for: close without a word.
        if session.strangers_turn and session.lines.unfinished().startswith(TLS_RECORD):
            session.close(Ending.FOREIGN)
        return False
    if isinstance(line, Overlong):
        _refuse_overlong(session, line.start)
    elif session.authentication is not None or len(line) + 2 <= MAX_LINE_OCTETS or line[:5].upper() == b"AUTH ":
        run(session, line)
    else:
        # RFC 2449 §4: "Servers which support the CAPA command MUST support commands up to 255 octets." We take
        # 512, and AUTH more (RFC 5034 §4).
        _refuse_overlong(session, line)
    return True


def _refuse(session: "Session", line: bytes) -> None:
    """Answer what is no command, or none that is valid now."""
    if session.state is State.AUTHORIZATION and is_foreign(line):
        session.close(Ending.FOREIGN)
        return
    session.verb, session.named = OTHER, None
    keyword, _, rest = line.partition(b" ")
    try:
        check(keyword, rest)
    except SyntaxRefusedError:
        session.respond(responses.SYNTAX_ERROR)
        return
    command = TABLE.get(keyword.upper())
    if command is None:
        # RFC 1939 §3: "A server MUST respond to an unrecognized, unimplemented, or syntactically
        # invalid command by responding with a negative status indicator."
        session.respond(responses.UNKNOWN_COMMAND)
    else:
        # RFC 1939 §3: "A server MUST respond to a command issued when the session is in an incorrect state
        # by responding with a negative status indicator."
        session.verb = command.keyword
        session.respond(responses.WRONG_STATE)


def _refuse_overlong(session: "Session", start: bytes) -> None:
    if session.strangers_turn and is_foreign(start):
        session.close(Ending.FOREIGN)
        return
    in_exchange = session.authentication is not None
    if not in_exchange:
        session.verb = OTHER
    session.authentication = session.named = None
    session.respond(responses.LINE_TOO_LONG)
    if in_exchange:
        session.close(Ending.LINE_TOO_LONG)
