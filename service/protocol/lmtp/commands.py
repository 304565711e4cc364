"""The commands of LMTP: the one table, and what each does to the session's state.

Owns grammar and order of the commands. Refuses to know buffers, and how effects are performed.
RFC 2033 §4.1 to §4.3, RFC 5321 §4.1, RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8),
RFC 3030 (BDAT), RFC 3207 (STARTTLS).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.model.refusal import Reason
from service.protocol.lmtp import replies
from service.protocol.lmtp.data import CountedFraming
from service.protocol.lmtp.effects import Begin, Close, Effect, Resolve, StartTls
from service.protocol.lmtp.paths import Argument, Malformed, forward_address, is_reverse_path, parse_argument
from service.protocol.lmtp.replies import Reply
from service.protocol.lmtp.state import Incoming, Mail, State

_CLIENT_NAME = re.compile(r"[A-Za-z0-9._:-]{1,255}|\[[A-Za-z0-9._:-]{1,253}\]")
_NUMBER = re.compile(r"[0-9]{1,20}")
_CHUNK = re.compile(r"(?P<octets>[0-9]{1,20})(?P<last> +LAST)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a command leads to: replies now, and an effect whose outcome may bring more."""

    replies: tuple[Reply, ...] = ()
    effect: Effect | None = None


def _say(reply: Reply) -> Turn:
    return Turn((reply,))


def _lhlo(state: State, argument: str) -> Turn:
    # RFC 5321 §4.1.4: "the SMTP server MUST clear all buffers and reset the state exactly as if a RSET
    # command had been issued."
    if not _CLIENT_NAME.fullmatch(argument):
        return _say(replies.BAD_ARGUMENT)
    abandon = state.reset()
    state.client_name = argument
    terms = state.terms
    return Turn((replies.capabilities(terms.host, terms.max_octets, terms.starttls and not state.secure),), abandon)


def _helo(_state: State, _argument: str) -> Turn:
    # RFC 2033 §4.1: "A LMTP server MUST NOT return a Postive Completion reply code to these commands. The 500 reply
    # code is recommended."
    return _say(replies.NOT_SMTP)


def _mail(state: State, argument: str) -> Turn:
    if state.client_name is None:
        return _say(replies.NEED_LHLO)
    if state.mail is not None:
        return _say(replies.BAD_SEQUENCE)
    try:
        parsed = parse_argument(argument, "FROM:")
    except Malformed:
        return _say(replies.BAD_ARGUMENT)
    refusal = _sender_refusal(state, parsed)
    if refusal is not None:
        return _say(refusal)
    declared = int(parsed.parameters["SIZE"]) if "SIZE" in parsed.parameters else None
    state.mail = Mail(parsed.path, "SMTPUTF8" in parsed.parameters, declared)
    return _say(replies.SENDER_OK)


def _sender_refusal(state: State, parsed: Argument) -> Reply | None:
    given = parsed.parameters
    if given.keys() - {"SIZE", "BODY", "SMTPUTF8"}:
        return replies.UNKNOWN_PARAMETER
    if not _NUMBER.fullmatch(given.get("SIZE", "0")) or given.get("SMTPUTF8"):
        return replies.BAD_ARGUMENT
    if given.get("BODY", "7BIT").upper() not in {"7BIT", "8BITMIME"}:
        return replies.BAD_ARGUMENT
    # RFC 1870 §6.1: "If the indicated size is larger than the server's fixed maximum message size, the server
    # responds with code "552 message size exceeds fixed maximium message size"."
    if int(given.get("SIZE", "0")) > state.terms.max_octets:
        return replies.REFUSED[Reason.TOO_BIG]
    if not is_reverse_path(parsed.path):
        return replies.BAD_SENDER
    return None if parsed.path.isascii() or "SMTPUTF8" in given else replies.NEED_SMTPUTF8_SENDER


def _rcpt(state: State, argument: str) -> Turn:
    mail = state.mail
    if mail is None:
        return _say(replies.NEED_MAIL)
    if mail.chunked:
        return _say(replies.BAD_SEQUENCE)
    try:
        parsed = parse_argument(argument, "TO:")
    except Malformed:
        return _say(replies.BAD_ARGUMENT)
    if parsed.parameters:
        return _say(replies.UNKNOWN_PARAMETER)
    if len(mail.recipients) >= state.terms.max_recipients:
        return _say(replies.TOO_MANY_RECIPIENTS)
    return _resolve(state, mail, parsed.path)


def _resolve(state: State, mail: Mail, path: str) -> Turn:
    # RFC 6531 §3.5: 553 with 5.6.7 where a non-ASCII address comes without the SMTPUTF8 parameter.
    if not (path.isascii() or mail.utf8):
        return _say(replies.NEED_SMTPUTF8)
    try:
        return Turn(effect=Resolve(forward_address(path, state.terms.host)))
    except ValueError:
        return _say(replies.REFUSED[Reason.NO_RECIPIENT])


def _data(state: State, _argument: str) -> Turn:
    mail = state.mail
    if mail is None:
        return _say(replies.NEED_MAIL)
    # RFC 2033 §4.2: "when there have been no successful RCPT commands in the mail transaction, the DATA
    # command MUST fail with a 503 reply code."
    if not mail.recipients:
        return _say(replies.NEED_RECIPIENT)
    # RFC 3030 §2: "If a DATA statement is issued after a BDAT for the current transaction, a 503 "Bad
    # sequence of commands" MUST be issued."
    if mail.chunked:
        return _say(replies.BAD_SEQUENCE)
    return Turn(effect=Begin(state.envelope(mail)))


def _bdat(state: State, argument: str) -> Turn:
    found = _CHUNK.fullmatch(argument)
    if found is None:
        # Where the chunk ends can't be known, so what follows might be text: reading it as commands would
        # let a message give orders. The connection ends instead.
        return Turn((replies.BAD_ARGUMENT,), Close())
    state.incoming = Incoming("BDAT", CountedFraming(int(found["octets"])), found["last"] is not None)
    mail = state.mail
    if mail is not None:
        mail.chunked = True
    if mail is None or not mail.recipients or mail.refused:
        return Turn()
    return Turn() if mail.begun else Turn(effect=Begin(state.envelope(mail)))


def _rset(state: State, _argument: str) -> Turn:
    return Turn((replies.RESET,), state.reset())


def _noop(_state: State, _argument: str) -> Turn:
    return _say(replies.OK)


def _vrfy(_state: State, argument: str) -> Turn:
    # RFC 5321 §7.3: "If a site disables these commands for security reasons, the SMTP server MUST return a 252
    # response", so that nobody can collect addresses.
    return _say(replies.CANNOT_VERIFY if argument else replies.BAD_ARGUMENT)


def _help(_state: State, _argument: str) -> Turn:
    return _say(replies.HELP)


def _quit(_state: State, _argument: str) -> Turn:
    return Turn((replies.GOODBYE,), Close())


def _starttls(state: State, _argument: str) -> Turn:
    if state.secure:
        return _say(replies.TLS_ALREADY)
    if not state.terms.starttls:
        return _say(replies.NO_TLS)
    if state.mail is not None:
        return _say(replies.BAD_SEQUENCE)
    return Turn((replies.READY_FOR_TLS,), StartTls())


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `bare` ones take no argument."""

    run: Callable[[State, str], Turn]
    bare: bool = False


COMMANDS: Mapping[str, Command] = {
    "LHLO": Command(_lhlo),
    "HELO": Command(_helo),
    "EHLO": Command(_helo),
    "MAIL": Command(_mail),
    "RCPT": Command(_rcpt),
    "DATA": Command(_data, bare=True),
    "BDAT": Command(_bdat),
    "RSET": Command(_rset, bare=True),
    "NOOP": Command(_noop),
    "VRFY": Command(_vrfy),
    "HELP": Command(_help),
    "QUIT": Command(_quit, bare=True),
    "STARTTLS": Command(_starttls, bare=True),
}


def run(state: State, verb: str, argument: str) -> Turn:
    """What `verb` (in upper case) does. An unknown one gets its reply and changes nothing."""
    command = COMMANDS.get(verb)
    if command is None:
        return _say(replies.UNKNOWN_COMMAND)
    if command.bare and argument:
        return _say(replies.BAD_ARGUMENT)
    return command.run(state, argument)
