"""What the commands of TRANSACTION do, and QUIT in both states.

Owns the rules over a listing and its marks. Refuses to know where messages are: retrieval and
removal are effects.
RFC 1939 §5, §6, §7.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from service.model.ending import Ending
from service.protocol.pop3 import responses
from service.protocol.pop3.commands import State
from service.protocol.pop3.effects import Retrieve, SendListing, Top
from service.protocol.pop3.marks import SLICE

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session

PREFETCHED = 80
"""Messages after the retrieved one that a RETR names for prefetching."""


def stat(session: "Session") -> None:
    """RFC 1939 §5 STAT: messages marked as deleted are not counted."""
    session.respond(responses.drop_listing(session.marks.messages, session.marks.octets))


def list_(session: "Session", number: int | None) -> None:
    """RFC 1939 §5 LIST: one scan listing, or all of them."""
    if number is None:
        session.with_listing(lambda: _send(session, session.marks.scan_lines))
    else:
        _listed(session, number, lambda: responses.scan_listing(number, session.marks.octets_of(number)))


def uidl(session: "Session", number: int | None) -> None:
    """RFC 1939 §7 UIDL: one unique-id listing, or all of them."""
    if number is None:
        session.with_listing(lambda: _send(session, session.marks.unique_id_lines))
    else:
        _listed(session, number, lambda: responses.unique_id_listing(number, session.marks.listing.unique_id(number)))


def retr(session: "Session", number: int) -> None:
    """RFC 1939 §5 RETR: the whole message, as a multi-line response."""

    def act() -> None:
        marks = session.marks
        if marks.lists(number):
            upcoming = marks.upcoming(number, PREFETCHED)
            session.perform(Retrieve(number, marks.sequence_of(number), marks.octets_of(number), upcoming))
        else:
            session.respond(responses.NO_SUCH_MESSAGE)

    session.with_listing(act)


def top(session: "Session", number: int, lines: int) -> None:
    """RFC 1939 §7 TOP: the header, the empty line and `lines` lines of the body."""

    def act() -> None:
        marks = session.marks
        if marks.lists(number):
            session.perform(Top(number, marks.sequence_of(number), lines, marks.upcoming(number, PREFETCHED)))
        else:
            session.respond(responses.NO_SUCH_MESSAGE)

    session.with_listing(act)


def dele(session: "Session", number: int) -> None:
    """RFC 1939 §5 DELE: "The POP3 server marks the message as deleted"; nothing is removed before UPDATE.

    Deviates: where the policy refuses it, it is an error and nothing is marked, though the command exists.
    """
    if session.read_only:
        session.respond(responses.READ_ONLY)
        return
    if session.policy.dele == "refuse":
        session.respond(responses.MAY_NOT_REMOVE)
        return

    def act() -> bytes:
        session.marks.mark(number)
        return responses.OK

    _listed(session, number, act)


def noop(session: "Session") -> None:
    """RFC 1939 §5 NOOP: "The POP3 server does nothing, it merely replies with a positive response"."""
    session.respond(responses.OK)


def rset(session: "Session") -> None:
    """RFC 1939 §5 RSET: unmark all."""
    session.marks.unmark_all()
    session.respond(responses.OK)


def quit_(session: "Session") -> None:
    """RFC 1939 §6: from TRANSACTION the session enters UPDATE; from AUTHORIZATION it just ends.

    Deviates: RFC 1939 §6 has all marked messages removed; where the policy is to keep them, none is.
    """
    if session.state is State.AUTHORIZATION:
        session.respond(responses.BYE)
        session.close(Ending.QUIT)
        return
    session.update()


def _listed(session: "Session", number: int, answer: Callable[[], bytes]) -> None:
    """Answer for a message that is listed; one that is absent or marked is an error (RFC 1939 §5)."""

    def act() -> None:
        session.respond(answer() if session.marks.lists(number) else responses.NO_SUCH_MESSAGE)

    session.with_listing(act)


def _send(session: "Session", lines: Callable[[], Iterator[str]]) -> None:
    """A short listing leaves at once, a long one slice by slice."""
    marks = session.marks
    head = f"+OK {marks.messages} messages ({marks.octets} octets)\r\n"
    if len(marks.listing) <= SLICE:
        session.respond("".join([head, *lines(), ".\r\n"]).encode())
    else:
        session.perform(SendListing(_slices(head, lines)))


def _slices(head: str, lines: Callable[[], Iterator[str]]) -> Iterator[bytes]:
    yield head.encode()
    for text in lines():
        yield text.encode()
    yield b".\r\n"
