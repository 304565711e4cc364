"""What one POP3 connection tells the event stream: its login or refusals, what it removed, and its end.

Owns which facts go into each event. A name that is nobody's stays out of it, save for what is kept inside to count it
by; so does what another system said when it failed (G17). Refuses to know where events go, and never waits for them.
"""

from typing import NamedTuple

from service.mail.events import Events
from service.mail.maildrop import OpenMaildrop
from service.mail.viewing import bare
from service.model.address import parse_address
from service.model.ending import Ending
from service.model.event import Counts, Event, Kind
from service.model.refusal import FAULTS, Refusal
from service.net.peer import Peer


class Tidings(NamedTuple):
    """One connection's events, as long as `peer` is at the other end."""

    events: Events
    session_id: str
    peer: Peer

    def logged_in(self, held: OpenMaildrop) -> None:
        """A login succeeded."""
        self._tell_of(held, Kind.LOGIN, {"messages": held.drop.messages})

    def refused(self, mechanism: str, name: str, refusal: Refusal) -> None:
        """A login as `name` was refused."""
        whose = refusal.account
        peer = self.peer
        event = Event(
            Kind.REFUSAL,
            session=self.session_id,
            protocol="pop3",
            listener=peer.listener,
            client=peer.address,
            tls=peer.tls.version if peer.tls else "",
            mechanism=mechanism,
            tenant=whose.tenant if whose else "",
            address=whose.address if whose else "",
            reason=refusal.why.value,
            detail="" if refusal.reason in FAULTS else refusal.cause,
            key=whose.key if whose else None,
            name="" if whose else _well_formed(name),
        )
        self.events.tell(event)

    def removed(self, held: OpenMaildrop, messages: int) -> None:
        """QUIT removed so many messages."""
        self._tell_of(held, Kind.REMOVAL, {"removed": messages})

    def ended(self, held: OpenMaildrop, ending: Ending, counts: Counts) -> None:
        """The connection of a session that had logged in is gone."""
        self._tell_of(held, Kind.END, counts, ending.value)

    def _tell_of(self, held: OpenMaildrop, kind: Kind, counts: Counts, reason: str = "") -> None:
        """Tell what happened to a session that had logged in."""
        peer, trail = self.peer, held.trail
        event = Event(
            kind,
            session=self.session_id,
            protocol="pop3",
            listener=peer.listener,
            client=peer.address,
            tls=peer.tls.version if peer.tls else "",
            mechanism=trail.mechanism,
            tenant=held.tenant,
            address=held.address,
            credential=trail.credential,
            reason=reason,
            counts=counts,
            key=held.key,
        )
        self.events.tell(event)


def _well_formed(name: str) -> str:
    """The address in `name`, or nothing: what isn't an address is as likely a password."""
    try:
        return str(parse_address(bare(name)))
    except ValueError:
        return ""
