"""What one POP3 connection tells the event stream: its login or refusals, what it removed, and its end.

Owns which facts go into each event. A name that is nobody's stays out of it, save for what is kept inside to count it
by; so does what another system said when it failed (G17). Refuses to know where events go.
"""

from service.mail.maildrop import OpenMaildrop
from service.mail.viewing import bare
from service.model.address import parse_address
from service.model.event import Counts, Event, Kind
from service.model.refusal import FAULTS, Refusal
from service.net.peer import Peer

_UNSTAMPED = Event(Kind.LOGIN)[1:4]
"""Moment, id and process, which whoever sends it on its way sets."""


def logged_in(held: OpenMaildrop, peer: Peer) -> Event:
    """A login succeeded."""
    return _event_of(held, peer, Kind.LOGIN, {"messages": held.drop.messages})


def refused(session_id: str, peer: Peer, mechanism: str, name: str, refusal: Refusal) -> Event:
    """A login as `name` was refused."""
    whose = refusal.account
    return Event(
        Kind.REFUSAL,
        session=session_id,
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


def removed(held: OpenMaildrop, peer: Peer, messages: int) -> Event:
    """QUIT removed so many messages."""
    return _event_of(held, peer, Kind.REMOVAL, {"removed": messages})


def ended(held: OpenMaildrop, peer: Peer, end: str, counts: Counts) -> Event:
    """The connection of a session that had logged in is gone; `end` is an `Ending`'s value."""
    return _event_of(held, peer, Kind.END, counts, end)


def _event_of(held: OpenMaildrop, peer: Peer, kind: Kind, counts: Counts, reason: str = "") -> Event:
    """What happened to a session that had logged in."""
    trail, tls = held.trail, peer.tls
    # In the order of `Event`'s fields: by their names, of which a dictionary is made first, it takes twice as long.
    return Event(
        kind,
        *_UNSTAMPED,
        trail.session_id,
        "pop3",
        peer.listener,
        peer.address,
        tls.version if tls else "",
        trail.mechanism,
        held.tenant,
        held.address,
        trail.credential,
        reason,
        "",
        counts,
        held.key,
    )


def _well_formed(name: str) -> str:
    """The address in `name`, or nothing: what isn't an address is as likely a password."""
    try:
        return str(parse_address(bare(name)))
    except ValueError:
        return ""
