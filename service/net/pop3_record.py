"""What one POP3 connection did, for the metrics and for the line at its end.

Owns the counting. Refuses to decide anything. No name, address or text becomes a label (G17).
"""

import os
import time

from service.mail.events import Events
from service.mail.maildrop import OpenMaildrop
from service.model.ending import Ending
from service.model.event import Kind
from service.model.refusal import FAULTS, Refusal
from service.net import pop3_events
from service.net.peer import Peer
from service.net.session_line import line_of
from service.protocol.pop3.commands import State
from service.protocol.pop3.session import Session
from service.telemetry import levels, metrics, spans
from service.telemetry.cleaning import quoted
from service.telemetry.labels import MECHANISMS, closed
from service.telemetry.logs import SessionLog, facts_of
from service.telemetry.session_trace import NO_TRACE, SessionTrace
from service.telemetry.sessions import sessions_of
from service.telemetry.spans import UNTRACED, Tracer, Untraced

MANY_OCTETS = 64 * 1024
"""Octets sent that are counted before the connection ends, which a client that fetches much may put off for hours."""
_STATES = {
    None: "",
    State.AUTHORIZATION: "authorization",
    State.TRANSACTION: "transaction",
    State.UPDATE: "update",
}
_ENDS = {ending: ending.value for ending in Ending}


class Record:
    """Counts of one connection."""

    __slots__ = (
        "_began", "_commands", "_counted_in", "_counted_out", "_events", "_removed", "_retrieved", "_sessions",
        "_state", "_topped", "listener", "log", "maildrop", "octets_in", "peer", "session_id", "trace",
    )  # fmt: skip

    def __init__(self, listener: str, events: Events, peer: Peer, tracer: Tracer = UNTRACED) -> None:
        """`peer` is who is at the other end, which TLS may change."""
        self.listener = listener
        self._sessions = sessions_of(listener)
        self._events = events
        self.peer = peer
        self.session_id = os.urandom(8).hex()
        self.log = SessionLog(self.session_id, listener)
        self.trace = NO_TRACE if isinstance(tracer, Untraced) else self._traced_by(tracer)
        self.maildrop: OpenMaildrop | None = None
        self.octets_in = 0
        self._commands = 0
        self._retrieved = 0
        self._topped = 0
        self._removed = 0
        self._counted_in = 0
        self._counted_out = 0
        self._state: State | None = None
        """In which `opened` or `answered` counted it; None until then."""
        self._began = time.monotonic()

    def opened(self, greets: bool) -> None:
        """The connection is made, and the client greeted unless it is turned away."""
        self._state = State.AUTHORIZATION
        self._sessions.states["authorization"](1)
        if greets:
            levels.greeted[self.listener](time.monotonic() - self._began)
        if self.trace is not NO_TRACE:
            self.trace.arrived()

    def answered(self, session: Session, since: float) -> None:
        """Count the commands that `session` answered since the last call; the last one began at `since`."""
        completed = session.completed
        if completed:
            seconds = time.monotonic() - since
            for done in completed:
                metrics.answered[done](seconds)
            self._commands += len(completed)
            completed.clear()
        state = session.state
        if state is not self._state:
            states = self._sessions.states
            states[_STATES[self._state]](-1)
            states[_STATES[state]](1)
            self._state = state

    def tried(self, mechanism: str, result: str, seconds: float) -> None:
        """A login came to `ok`, or to a `Reason`'s value."""
        metrics.logins[mechanism, result](seconds)
        if self.trace.steps:
            spans.note(mechanism=closed(mechanism, MECHANISMS))

    def login_refused(self, mechanism: str, name: str, client: str, refusal: Refusal) -> None:
        """A login as `name` was refused, at whichever of its steps."""
        # A name that is nobody's may be a password, typed into the wrong field (G17).
        known = refusal.account.address if refusal.account else None
        self.refused("login refused", refusal, client=client, name=known, mechanism=mechanism)
        self._events.tell(pop3_events.refused(self.session_id, self.peer, mechanism, name, refusal))

    def logged_in(self, maildrop: OpenMaildrop) -> None:
        """A login succeeded."""
        self.maildrop = maildrop
        self.log.bind(maildrop.tenant, maildrop.address)
        if self.trace.steps:
            spans.note(tenant=maildrop.tenant)
        self._events.tell(pop3_events.logged_in(maildrop, self.peer))

    def sent(self, octets_out: int) -> None:
        """A message or a listing was sent, or a part of it: `octets_out` are all that were sent so far."""
        if octets_out - self._counted_out > MANY_OCTETS:
            self._sessions.received(self.octets_in - self._counted_in)
            self._sessions.sent(octets_out - self._counted_out)
            self._counted_in, self._counted_out = self.octets_in, octets_out

    def retrieved(self) -> None:
        """RETR sent a message whole."""
        levels.retrieval("sent")
        self._retrieved += 1
        metrics.message_retrieved()

    def topped(self) -> None:
        """TOP sent what was asked for."""
        levels.retrieval("sent")
        self._topped += 1
        metrics.message_topped()

    def removed(self, held: OpenMaildrop, messages: int) -> None:
        """QUIT removed so many messages, one at least."""
        self._removed = messages
        self._events.tell(pop3_events.removed(held, self.peer, messages))
        metrics.messages_removed(messages)

    def refused(self, event: str, refusal: Refusal, **facts: object) -> None:
        """Something was refused: a warning where the fault is ours."""
        spans.refused(refusal)
        tell = self.log.warning if refusal.reason in FAULTS else self.log.info
        tell(event, **facts, reason=refusal.reason.value, cause=refusal.cause)

    def cut(self, verb: str, seconds: float) -> None:
        """A response broke off in the middle, `seconds` after its command began, as the client went or took nothing."""
        self._commands += 1
        metrics.command(verb, "cut", seconds)

    def failed(self, verb: str, seconds: float, refusal: Refusal) -> None:
        """A message broke off in the middle for the service's own fault."""
        self.cut(verb, seconds)
        levels.retrieval("cut")
        spans.refused(refusal)
        self.log.warning("retrieval cut", reason=refusal.reason.value, cause=refusal.cause)

    def ended(self, peer: Peer, ending: Ending, octets_out: int) -> None:
        """The connection is gone: the one line of the session, and its metrics."""
        seconds, end = time.monotonic() - self._began, _ENDS[ending]
        sessions = self._sessions
        if self._state is not None:
            sessions.states[_STATES[self._state]](-1)
        sessions.seconds[end](seconds)
        sessions.received(self.octets_in - self._counted_in)
        sessions.sent(octets_out - self._counted_out)
        held, line = self.maildrop, line_of("pop3", peer, end)
        if held is not None:
            line += f',"maildrop":"{held.key.maildrop_id!s}","mechanism":{quoted(held.trail.mechanism)}'
        counts = (
            f'"seconds":{seconds:.3f},"commands":{self._commands},"retrieved":{self._retrieved},'
            f'"topped":{self._topped},"removed":{self._removed},"octets_in":{self.octets_in},"octets_out":{octets_out}'
        )
        self.log.ended(f"{line},{counts}", silent=not self.octets_in and ending is Ending.VANISHED)
        if self.trace.steps:
            self.trace.ended(end=end, **facts_of(counts))
        # Each session has an end, and most often nobody keeps it.
        if held is not None and self._events.wants(Kind.END):
            self._events.tell(pop3_events.ended(held, peer, end, facts_of(counts)))

    def _traced_by(self, tracer: Tracer) -> SessionTrace:
        return SessionTrace(tracer, "POP3 session", self.log.traced, session=self.session_id, listener=self.listener)
