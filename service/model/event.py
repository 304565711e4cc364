"""What happened at a login and in a session, told one by one to whoever follows a service from outside.

Owns the kinds, their fields and their JSON form: schema 1, to which later releases add fields and kinds and from which
they take none. Refuses to know where events go. Holds no password, token or message text, and no name that isn't an
account's: people type passwords where a name belongs (G17).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from service.model.account import MaildropKey

SCHEMA = 1
Counts = Mapping[str, int | float]
NOTHING: Counts = MappingProxyType({})


class Kind(Enum):
    """What happened."""

    LOGIN = "login"
    REFUSAL = "refusal"
    """A login that was refused; `reason` is a `Why`'s value."""
    REMOVAL = "removal"
    """A QUIT removed messages; the audit has the same."""
    END = "end"
    """The end of a connection that had logged in; `reason` is an `Ending`'s value."""
    DELIVERY_REFUSAL = "delivery_refusal"
    """A recipient or a message was refused; `reason` is a `Reason`'s value."""
    DROPPED = "dropped"
    """Events were lost here for want of room, as many as `counts` says."""

    # Each is there once. Enum's own hashes the name, by two calls.
    __hash__ = object.__hash__


class Event(NamedTuple):
    """One thing that happened. Empty or None: not known, or of no meaning for the kind.

    A poll makes two of them, and the fields of a frozen dataclass are set by a call each.
    """

    kind: Kind
    moment: datetime = datetime(1, 1, 1, tzinfo=UTC)
    """Like `event_id` and `process`, set by whoever sends it on its way."""
    event_id: str = ""
    """The same at each repetition, so that a receiver can drop what it has already."""
    process: str = ""
    session: str = ""
    protocol: str = ""
    listener: str = ""
    client: str = ""
    tls: str = ""
    mechanism: str = ""
    tenant: str = ""
    address: str = ""
    """The account's."""
    credential: str = ""
    """The credential's label."""
    reason: str = ""
    detail: str = ""
    """The reason in the log's words."""
    counts: Counts = NOTHING
    key: MaildropKey | None = None
    """Whose it is; stays inside."""
    name: str = ""
    """The well-formed address that is nobody's; stays inside, and is only ever kept as a digest."""

    def __repr__(self) -> str:
        # What stays inside is no part of it.
        return f"Event({self.kind.value}, {self.event_id!r})"


def plain(event: Event) -> dict[str, object]:
    """The event as JSON has it: what isn't known is left out."""
    e = event
    facts = {
        "session": e.session,
        "protocol": e.protocol,
        "listener": e.listener,
        "client": e.client,
        "tls": e.tls,
        "mechanism": e.mechanism,
        "tenant": e.tenant,
        "address": e.address,
        "credential": e.credential,
        "reason": e.reason,
        "detail": e.detail,
    }
    stamped = {"schema": SCHEMA, "id": e.event_id, "at": e.moment.isoformat(timespec="milliseconds")}
    known = {name: value for name, value in facts.items() if value}
    return stamped | {"kind": e.kind.value, "process": e.process} | known | dict(e.counts)
