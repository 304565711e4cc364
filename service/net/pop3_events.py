"""What one POP3 connection tells the event stream: its login or refusals, what it removed, and its end.

Owns which facts go into each event. A name that is nobody's stays out of it, save for what is kept inside to count it
by; so does what another system said when it failed (G17). Refuses to know where events go, and never waits for them.
"""

from dataclasses import dataclass
from typing import Any

from service.mail.events import Events
from service.mail.maildrop import OpenMaildrop
from service.mail.viewing import bare
from service.model.address import parse_address
from service.model.ending import Ending
from service.model.event import Counts, Event, Kind
from service.model.refusal import FAULTS, Refusal
from service.net.peer import Peer


@dataclass(frozen=True, slots=True)
class Tidings:
    """One connection's events, as long as `peer` is at the other end."""

    events: Events
    session_id: str
    peer: Peer

    def logged_in(self, held: OpenMaildrop) -> None:
        """A login succeeded."""
        self._tell(Kind.LOGIN, **_of(held), counts={"messages": held.drop.messages})

    def refused(self, mechanism: str, name: str, refusal: Refusal) -> None:
        """A login as `name` was refused."""
        detail = "" if refusal.reason in FAULTS else refusal.cause
        facts = {"mechanism": mechanism, "reason": refusal.why.value, "detail": detail}
        whose = refusal.account
        if whose is None:
            self._tell(Kind.REFUSAL, **facts, name=_well_formed(name))
        else:
            self._tell(Kind.REFUSAL, **facts, tenant=whose.tenant, address=whose.address, key=whose.key)

    def removed(self, held: OpenMaildrop, messages: int) -> None:
        """QUIT removed so many messages."""
        self._tell(Kind.REMOVAL, **_of(held), counts={"removed": messages})

    def ended(self, held: OpenMaildrop, ending: Ending, counts: Counts) -> None:
        """The connection of a session that had logged in is gone."""
        self._tell(Kind.END, **_of(held), reason=ending.value, counts=counts)

    def _tell(self, kind: Kind, **facts: Any) -> None:
        peer = self.peer
        event = Event(
            kind,
            session=self.session_id,
            protocol="pop3",
            listener=peer.listener,
            client=peer.address,
            tls=peer.tls.version if peer.tls else "",
            **facts,
        )
        self.events.tell(event)


def _of(held: OpenMaildrop) -> dict[str, Any]:
    return {
        "mechanism": held.trail.mechanism,
        "tenant": held.tenant,
        "address": held.address,
        "credential": held.trail.credential,
        "key": held.key,
    }


def _well_formed(name: str) -> str:
    """The address in `name`, or nothing: what isn't an address is as likely a password."""
    try:
        return str(parse_address(bare(name)))
    except ValueError:
        return ""
