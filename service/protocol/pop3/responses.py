"""Every response a POP3 client can get, as bytes.

Owns the wording. Refuses to know when to say what. A refusal's reason becomes bytes here and
nowhere else; a vendor's text never does. fetchmail takes a refusal without `lock`, `wait` or
"service unavailable" for a bad password, so every transient one asks to wait.
RFC 1939 §3, RFC 2449 §8, RFC 3206 §4 and §5.
"""

import math

from service.model.refusal import Reason

# RFC 1939 §7: a greeting with a timestamp in angle brackets offers APOP. Ours has no `<`.
GREETING = b"+OK Poplar POP3 service ready\r\n"

OK = b"+OK\r\n"
PASSWORD_WANTED = b"+OK Password, please\r\n"
BYE = b"+OK Bye\r\n"
TLS_NEXT = b"+OK Begin TLS\r\n"

SYNTAX_ERROR = b"-ERR Syntax error\r\n"
UNKNOWN_COMMAND = b"-ERR Unknown command\r\n"
LINE_TOO_LONG = b"-ERR Line too long\r\n"
WRONG_STATE = b"-ERR Command not valid in this state\r\n"
TLS_REQUIRED = b"-ERR TLS required\r\n"
NO_SUCH_MESSAGE = b"-ERR No such message\r\n"
READ_ONLY = b"-ERR [SYS/TEMP] The maildrop can only be read for now, please wait to remove messages\r\n"
MAY_NOT_REMOVE = b"-ERR Messages may not be removed here\r\n"
UNSUPPORTED_MECHANISM = b"-ERR Unsupported mechanism\r\n"
CANCELLED = b"-ERR Authentication cancelled\r\n"

BUSY_GREETING = b"-ERR [SYS/TEMP] Too many connections, please wait and try again later\r\n"
DRAINING = b"-ERR [SYS/TEMP] Service restarting, please wait and connect again\r\n"

# RFC 2449 §8.1.1 and §8.1.2, RFC 3206 §4: the codes.
# RFC 3206 §5: "AUTH-RESP-CODE assures the client that only errors with the AUTH code are caused by credential
# problems."
REFUSALS: dict[Reason, bytes] = {
    Reason.CREDENTIALS: b"-ERR [AUTH] Authentication failed\r\n",
    Reason.IN_USE: b"-ERR [IN-USE] Maildrop locked by another session, please wait\r\n",
    Reason.LOGIN_DELAY: b"-ERR [LOGIN-DELAY] Too soon after the last login, please wait\r\n",
    Reason.TOO_MANY_SESSIONS: b"-ERR [SYS/TEMP] Too many sessions at once, please wait and try again later\r\n",
    Reason.DAY_USED_UP: b"-ERR [SYS/TEMP] Octets of the day are used up, please wait until tomorrow\r\n",
    Reason.UNAVAILABLE: b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n",
    Reason.OVERLOADED: b"-ERR [SYS/TEMP] Try again later: service busy, please wait\r\n",
    Reason.DRAINING: DRAINING,
    Reason.LOST: b"-ERR [SYS/TEMP] This session no longer holds the maildrop, please wait; no message was removed\r\n",
    Reason.UNKNOWN_OUTCOME: (
        b"-ERR [SYS/TEMP] Outcome unknown, please wait: either all marked messages were removed or none\r\n"
    ),
    # A stored policy that can't be obeyed: one of a later release, until this one is replaced, or somebody mends it.
    Reason.INVALID: b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n",
    Reason.BROKEN: b"-ERR [SYS/PERM] Message damaged in storage, please tell the postmaster\r\n",
}


def refusal(reason: Reason, wait: float | None = None) -> bytes:
    """The response for `reason`, with the seconds to `wait` in words where they are known.

    A reason that no POP3 command can meet is a fault of ours: SYS/PERM.
    """
    if reason is Reason.DAY_USED_UP and wait is not None:
        return f"-ERR [SYS/TEMP] Octets of the day are used up, please wait {_in_words(wait)}\r\n".encode()
    return REFUSALS.get(reason, b"-ERR [SYS/PERM] Internal error, please tell the postmaster\r\n")


def _in_words(seconds: float) -> str:
    """A time as people say it, rounded up to whole minutes."""
    hours, minutes = divmod(max(1, math.ceil(seconds / 60)), 60)
    parts = [(hours, "hour"), (minutes, "minute")]
    return " ".join(f"{number} {unit}{'s' * (number > 1)}" for number, unit in parts if number)


def drop_listing(messages: int, octets: int) -> bytes:
    """RFC 1939 §5 STAT: `+OK`, a single space, the number of messages, a single space, and their octets."""
    return b"+OK %d %d\r\n" % (messages, octets)


def drop_ready(messages: int, octets: int, read_only: bool = False) -> bytes:
    """The response to a login, once the maildrop is held."""
    state = b"read-only for now" if read_only else b"ready"
    return b"+OK Maildrop locked and %s, %d messages (%d octets)\r\n" % (state, messages, octets)


def scan_listing(number: int, octets: int) -> bytes:
    """RFC 1939 §5 LIST: "message-number of the message, followed by a single space and the exact size"."""
    return b"+OK %d %d\r\n" % (number, octets)


def unique_id_listing(number: int, unique_id: str) -> bytes:
    """RFC 1939 §7 UIDL: "message-number of the message, followed by a single space and the unique-id"."""
    return f"+OK {number} {unique_id}\r\n".encode()


def retrieved(octets: int) -> bytes:
    """The status line of RETR; `octets` as LIST says them."""
    return b"+OK %d octets\r\n" % octets


def farewell(removed: int, kept: int) -> bytes:
    """The response to QUIT once all is done; whoever reads it learns the truth where a policy keeps what was marked."""
    if not (removed or kept):
        return BYE
    parts = [b"%d %s" % (count, what) for count, what in ((removed, b"removed"), (kept, b"kept")) if count]
    noun = b" messages " if removed + kept > 1 else b" message "
    return b"+OK Bye, " + b", ".join(parts).replace(b" ", noun, 1) + b"\r\n"


def challenge(encoded: bytes) -> bytes:
    """RFC 5034 §4: `+`, a single space, and the base64-encoded challenge; exactly `+ ` when it is empty."""
    return b"+ " + encoded + b"\r\n"


def multi_line(lines: list[str], text: str = "") -> bytes:
    """A whole multi-line response of short lines, none of which begins with a dot."""
    head = f"+OK {text}".rstrip()
    return "\r\n".join([head, *lines, ".", ""]).encode()
