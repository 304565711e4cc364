"""Every reply of the LMTP service, and the one table from a reason to its reply.

Owns codes, enhanced codes and texts. Refuses to know when a reply is due. A vendor's text never
stands in one, nor anything the client sent.
RFC 2033 §4.2 and §5, RFC 5321 §4.2, RFC 2034 §4, RFC 3463, RFC 2920 §2, RFC 3030 §2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.model.refusal import Reason


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, its enhanced code (none for greetings, LHLO and 354) and one or more lines of text."""

    code: int
    enhanced: str
    text: str
    more: tuple[str, ...] = ()

    def __bytes__(self) -> bytes:
        """The reply as it is sent.

        RFC 5321 §4.2.1: "the reply code, followed immediately by a hyphen" on every line but the last.
        """
        prefix = f"{self.enhanced} " if self.enhanced else ""
        lines = [prefix + line for line in (self.text, *self.more)]
        marks = ["-"] * (len(lines) - 1) + [" "]
        return "".join(f"{self.code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)).encode("ascii")


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
DELIVERED = Reply(250, "2.0.0", "Delivered")
CHUNK_OK = Reply(250, "2.0.0", "Chunk received")
RESET = Reply(250, "2.0.0", "Transaction forgotten")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify; give it as RCPT")
HELP = Reply(214, "2.0.0", "See RFC 2033")
GOODBYE = Reply(221, "2.0.0", "Goodbye")
SEND_TEXT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")

UNKNOWN_COMMAND = Reply(500, "5.5.1", "Unknown command")
NOT_SMTP = Reply(500, "5.5.1", "This is LMTP: say LHLO")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
UNREADABLE = Reply(500, "5.5.2", "Syntax error")
BAD_ARGUMENT = Reply(501, "5.5.4", "Syntax error in the argument")
BAD_SENDER = Reply(501, "5.1.7", "Bad reverse-path")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
NEED_LHLO = Reply(503, "5.5.1", "Say LHLO first")
NEED_MAIL = Reply(503, "5.5.1", "Say MAIL first")
NEED_RECIPIENT = Reply(503, "5.5.1", "No valid recipients")
NO_TLS = Reply(502, "5.5.1", "TLS is not available")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is active already")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Unknown parameter")
# RFC 6531 §3.5: 550 where MAIL names a non-ASCII address without SMTPUTF8, 553 where RCPT does; 5.6.7 with both.
NEED_SMTPUTF8_SENDER = Reply(550, "5.6.7", "A non-ASCII address needs SMTPUTF8")
NEED_SMTPUTF8 = Reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
SHUTTING_DOWN = Reply(421, "4.3.2", "Service shutting down, try again")
OVERLOADED = Reply(421, "4.3.2", "Too many connections, try again later")
IDLE = Reply(421, "4.4.2", "Idle for too long")

_LATER = Reply(451, "4.3.0", "Temporary failure, try again later")
_BUSY = Reply(451, "4.3.2", "Not accepting mail just now, try again later")

REFUSED: Mapping[Reason, Reply] = {
    Reason.NO_RECIPIENT: Reply(550, "5.1.1", "No such recipient here"),
    Reason.SUSPENDED: Reply(450, "4.2.1", "Recipient suspended"),
    Reason.OVER_QUOTA: Reply(452, "4.2.2", "Maildrop full"),
    Reason.NEVER_FITS: Reply(552, "5.2.2", "Message exceeds the quota of the maildrop"),
    Reason.TOO_BIG: Reply(552, "5.3.4", "Message too big"),
    Reason.UNAVAILABLE: _LATER,
    Reason.OVERLOADED: _BUSY,
    Reason.DRAINING: _BUSY,
    Reason.UNKNOWN_OUTCOME: _LATER,
    Reason.BROKEN: _LATER,
    Reason.CREDENTIALS: _LATER,
    Reason.IN_USE: _LATER,
    Reason.LOGIN_DELAY: _LATER,
    Reason.TOO_MANY_SESSIONS: _LATER,
    Reason.DAY_USED_UP: _LATER,
    Reason.LOST: _LATER,
    Reason.NOT_FOUND: _LATER,
    Reason.EXISTS: _LATER,
    Reason.INVALID: _LATER,
}
"""The reply to each reason. Those of logins and provisioning say "later", so that the sender keeps the mail."""

AFTER_TEXT: Mapping[Reason, Reply] = {**REFUSED, Reason.NO_RECIPIENT: _LATER}
"""The same after a text, whose recipients were accepted. A maildrop that has gone since may have left its address to
another one, an alias or a catch-all: the sender is to ask again, and hears at RCPT whether the address is good."""


def greeting(host: str) -> Reply:
    """The first reply of a connection."""
    return Reply(220, "", f"{host} LMTP Poplar")


def capabilities(host: str, max_octets: int, starttls: bool) -> Reply:
    """The reply to LHLO.

    RFC 2033 §5: "A server implementation MUST implement the PIPELINING and ENHANCEDSTATUSCODES ESMTP extensions. A
    server implementation SHOULD implement the 8BITMIME extension." RFC 2920 §2: the keyword is `PIPELINING`.
    """
    offered = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING", f"SIZE {max_octets}")
    return Reply(250, "", host, offered + (("STARTTLS",) if starttls else ()))
