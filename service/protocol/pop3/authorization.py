"""What the commands of AUTHORIZATION do, and CAPA in both states.

Owns the rules before login. Refuses to know who exists: USER answers `+OK` to any well-formed
name, and every failed login reads the same.
RFC 1939 §4, §7; RFC 2449 §5; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2.
"""

from typing import TYPE_CHECKING

from service.protocol.pop3 import responses
from service.protocol.pop3.authentication import Authentication
from service.protocol.pop3.capabilities import after_login, before_login
from service.protocol.pop3.commands import State
from service.protocol.pop3.effects import LogIn, StartTls
from service.protocol.sasl.mechanisms import MECHANISMS
from service.protocol.sasl.proof import password_proof

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session


def capa(session: "Session") -> None:
    """RFC 2449 §5: "The POP3 CAPA command returns a list of capabilities supported by the POP3 server"."""
    if session.state is State.TRANSACTION:
        lines = after_login(session.around, session.policy)
    else:
        lines = before_login(session.around, stls=_may_start_tls(session))
    session.respond(responses.multi_line(lines, "Capability list follows"))


def stls(session: "Session") -> None:
    """RFC 2595 §4: only in AUTHORIZATION, and negotiation starts right after the CRLF of `+OK`."""
    if not _may_start_tls(session):
        session.respond(responses.WRONG_STATE)
        return
    session.respond(responses.TLS_NEXT)
    session.perform(StartTls())


def utf8(session: "Session") -> None:
    """RFC 6856 §2: "+OK" at any time before login, listed in CAPA or not; messages go out as they are stored.

    RFC 6856 §2.1: "If a client requests a UTF-8 message when UTF-8 mode is not enabled, the server MUST either send
    the client a surrogate message [...] or fail the request with an -ERR response."
    Deviates: we send the octets as stored, as every peer does: refusing would make the mail unreachable for
    older clients.
    """
    session.utf8 = True
    session.respond(responses.OK)


def user(session: "Session", name: str) -> None:
    """RFC 1939 §7: "The server may return a positive response even though no such mailbox exists."

    Deviates: a second USER replaces the first; an `-ERR` to USER stops Thunderbird.
    """
    if not session.private:
        session.respond(responses.TLS_REQUIRED)
        return
    session.named = name
    session.respond(responses.PASSWORD_WANTED)


def pass_(session: "Session", password: bytes) -> None:
    """RFC 1939 §7: PASS is valid only "immediately after a successful USER command"."""
    name, session.named = session.named, None
    if not session.private:
        session.respond(responses.TLS_REQUIRED)
    elif name is None:
        session.respond(responses.WRONG_STATE)
    else:
        session.perform(LogIn("USER", password_proof(name.encode(), password)))


def auth(session: "Session", mechanism: str, initial: bytes | None) -> None:
    """RFC 5034 §4: "AUTH mechanism [initial-response]"; alone it lists the mechanisms, as Outlook probes."""
    if not mechanism:
        session.respond(responses.multi_line(session.around.offered))
    elif not session.private:
        # RFC 2595 §6: "The PLAIN SASL mechanism MUST NOT be advertised or used unless a strong encryption layer (such
        # as the provided by TLS) is active or backwards compatibility dictates otherwise."
        session.respond(responses.TLS_REQUIRED)
    elif mechanism not in session.around.offered:
        session.respond(responses.UNSUPPORTED_MECHANISM)
    else:
        session.authentication = Authentication(MECHANISMS[mechanism], session.around.outside)
        session.authentication.begin(session, initial)


def _may_start_tls(session: "Session") -> bool:
    """RFC 2595 §4: not when TLS is active. RFC 6856 §2.1: STLS may be refused once UTF8 was issued, and is."""
    around = session.around
    return around.may_start_tls and not session.utf8 and session.state is State.AUTHORIZATION
