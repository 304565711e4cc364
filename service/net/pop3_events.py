"""What one POP3 connection tells the event stream: its login or refusals, what it removed, and its end.

Owns which facts go into each event. A name that is nobody's stays out of it, save for what is kept inside to count it
by; so does what another system said when it failed (G17). Refuses to know where events go, and never waits for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from service.mail.events import Events
from service.mail.maildrop import OpenMaildrop
from service.mail.viewing import bare
from service.model.address import parse_address
from service.model.ending import Ending
from service.model.event import Counts, Event, Kind
from service.model.refusal import FAULTS, Refusal
from service.net.peer import Peer
from service.protocol.pop3.effects import LogIn


@dataclass(frozen=True, slots=True)
class Tidings:
    """One connection's events; `peer` gives who is at the other end, which TLS may have changed."""

    events: Events
    session_id: str
    peer: Callable[[], Peer]

    def logged_in(self, held: OpenMaildrop) -> None:
        """A login succeeded."""
        self._tell(replace(_of(held, Kind.LOGIN), counts={"messages": held.drop.messages}))

    def refused(self, effect: LogIn, refusal: Refusal) -> None:
        """A login was refused."""
        whose = refusal.account
        event = Event(
            Kind.REFUSAL,
            mechanism=effect.mechanism,
            reason=refusal.why.value,
            detail="" if refusal.reason in FAULTS else refusal.cause,
        )
        if whose is not None:
            event = replace(event, tenant=whose.tenant, address=whose.address, key=whose.key)
        elif effect.proof is not None:
            event = replace(event, name=_well_formed(effect.proof.name))
        self._tell(event)

    def removed(self, held: OpenMaildrop, messages: int) -> None:
        """QUIT removed so many messages."""
        self._tell(replace(_of(held, Kind.REMOVAL), counts={"removed": messages}))

    def ended(self, held: OpenMaildrop, ending: Ending, counts: Counts) -> None:
        """The connection of a session that had logged in is gone."""
        self._tell(replace(_of(held, Kind.END), reason=ending.value, counts=counts))

    def _tell(self, event: Event) -> None:
        peer = self.peer()
        told = replace(
            event,
            session=self.session_id,
            protocol="pop3",
            listener=peer.listener,
            client=peer.address,
            tls=peer.tls.version if peer.tls else "",
        )
        self.events.tell(told)


def _of(held: OpenMaildrop, kind: Kind) -> Event:
    trail = held.trail
    return Event(
        kind,
        mechanism=trail.mechanism,
        tenant=held.tenant,
        address=held.address,
        credential=trail.credential,
        key=held.key,
    )


def _well_formed(name: str) -> str:
    """The address in `name`, or nothing: what isn't an address is as likely a password."""
    try:
        return str(parse_address(bare(name)))
    except ValueError:
        return ""
