"""One POP3 session as a pure machine: octets in, responses and effects out.

Owns the three states, the frozen listing and the marks. Refuses to know sockets, time, stores
and TLS: whatever waits is an effect, and the session runs no further command until it is told
the outcome. `table.py` says what each command does.
RFC 1939 §3 to §6, RFC 2449 §6.6 (PIPELINING), RFC 2595 §4.
"""

from collections.abc import Callable

from service.model.ending import Ending
from service.model.listing import DropListing, Listing
from service.model.policy import Policy
from service.model.proof import Proof
from service.model.refusal import Reason
from service.model.scram import ScramKeys
from service.protocol.lines import DEAF, Lines
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.authentication import Authentication, Failures
from service.protocol.pop3.capabilities import Surroundings
from service.protocol.pop3.commands import MAX_AUTH_LINE_OCTETS, MAX_LINE_OCTETS, State
from service.protocol.pop3.effects import Close, Effect, Step
from service.protocol.pop3.marks import Marks
from service.protocol.pop3.running import OTHER, run, run_long

OUTPUT_BOUND = 64 * 1024
"""Octets of responses after which `advance` pauses, however many commands wait (RFC 2449 §6.6)."""
COMMANDS_BOUND = 32
"""Commands after which it pauses, so that others are heard: a tenth or two of a millisecond."""


_NO_POLICY = Policy()
_NO_MARKS = Marks(DropListing(0, 0, 0, 0))
"""What sessions have before a login, all of them the same."""


class Session:
    """One client's session, from the greeting to the last response."""

    __slots__ = (
        "_again", "_around", "_counts_retrieval", "_effect", "_output",
        "authentication", "completed", "failures", "lines", "marks", "named", "policy", "private", "read_only", "state",
        "utf8", "verb",
    )  # fmt: skip

    def __init__(self, private: bool, surroundings: Callable[[], Surroundings]) -> None:
        self.private = private
        self._around: Surroundings | Callable[[], Surroundings] = surroundings
        self.state = State.AUTHORIZATION
        self.named: str | None = None
        """What USER named; forgotten by any command but PASS, which may only follow immediately (RFC 1939 §7)."""
        self.authentication: Authentication | None = None
        """What AUTH began, until it succeeds or fails."""
        self.failures: Failures | None = None
        """The failed logins, once there is one."""
        self.utf8 = False
        self.policy = _NO_POLICY
        self.read_only = False
        self.marks = _NO_MARKS
        self.completed: list[tuple[str, bool]] = []
        """Each command that was answered and whether with `+OK`, for whoever counts; the caller empties it."""
        self.lines = Lines(MAX_AUTH_LINE_OCTETS, MAX_LINE_OCTETS - 1)
        """They receive what the client sends; nothing of it runs until `advance`."""
        self._output = b""
        self._effect: Effect | None = None
        self.verb = OTHER
        """The keyword of the command that is running, for whoever counts."""
        self._again: Callable[[], None] | None = None
        self._counts_retrieval = False

    def come_to(self, private: bool, surroundings: Callable[[], Surroundings]) -> None:
        """Ask for new surroundings, with the first command that needs them: most connections have none.

        Whether they are `private` is all that USER and PASS need.
        """
        self.private, self._around = private, surroundings

    @property
    def around(self) -> Surroundings:
        """What is known of the connection and the service."""
        around = self._around
        if not isinstance(around, Surroundings):
            around = self._around = around()
        return around

    @property
    def buffered(self) -> int:
        """Octets received whose commands have not run yet."""
        return self.lines.held

    def greet(self) -> bytes:
        """RFC 1939 §4: the server issues "a one line greeting. This can be any positive response"."""
        return responses.GREETING

    def advance(self) -> Step:
        """Run commands until one waits, a bound is reached, or the input is used up.

        RFC 2449 §6.6: "If a server supports PIPELINING, it MUST process each command in turn."
        """
        commands, more, lines = 0, False, self.lines
        while lines.octets and self._effect is None:
            if commands and (len(self._output) >= OUTPUT_BOUND or commands >= COMMANDS_BOUND):
                more = True
                break
            line = lines.take()
            if line is not None:
                run(self, line)
            elif not run_long(self):
                break
            commands += 1
        output, self._output = self._output, b""
        return output, self._effect, commands, more

    def respond(self, response: bytes) -> None:
        """Answer the command that is running."""
        self._output += response
        self.completed.append((self.verb, not response.startswith(b"-")))

    def ask(self, challenge: bytes) -> None:
        """Send a challenge, which is no response yet."""
        self._output += challenge

    def perform(self, effect: Effect) -> None:
        """Pause until the outcome of `effect` is told."""
        self._effect = effect

    def close(self, ending: Ending) -> None:
        """Close the connection once the output is sent, and hear no command any more."""
        self.state, self.lines = State.UPDATE, DEAF
        self._effect = Close(ending)

    def with_listing(self, act: Callable[[], None]) -> None:
        """Run `act` once the listing is there: now, or after it was loaded."""
        if self.marks.loaded:
            act()
        else:
            self._again = act
            self.perform(effects.LoadListing())

    def logged_in(
        self, drop: DropListing, policy: Policy, *, counts_retrieval: bool = False, read_only: bool = False
    ) -> None:
        """The login succeeded and the maildrop is held; `counts_retrieval` if what RETR brings is to be noted.

        A session that is `read_only` marks nothing: what it would remove can't be removed now.

        RFC 1939 §4: "The POP3 session now enters the TRANSACTION state, with no messages marked as deleted."
        """
        self._effect = None
        self.state = State.TRANSACTION
        self.authentication = None
        self.policy = policy
        self.marks = Marks(drop)
        self._counts_retrieval = counts_retrieval and not read_only
        self.read_only = read_only
        self.respond(responses.drop_ready(drop.messages, drop.octets, read_only))

    def update(self) -> None:
        """Enter UPDATE: hear no command any more, have removed what is to be removed, and noted what is to be."""
        self.state, self.lines = State.UPDATE, DEAF
        self.perform(self.marks.parting(self.policy))

    def keys_fetched(self, keys: ScramKeys, nonce: str) -> None:
        """The keys for a name are there, and a nonce that was never used: go on with the exchange."""
        self._effect = None
        if self.authentication is None:
            raise AssertionError("keys that no exchange asked for")
        self.authentication.keys_fetched(self, keys, nonce)

    def login_failed(self, proof: Proof | None) -> None:
        """Count a failed login, and close the connection after too many."""
        self.failures = self.failures or Failures()
        self.failures.add(proof)
        if self.failures.reached(self.around.login_failures):
            self.close(Ending.LOGIN_FAILURES)

    def listing_loaded(self, listing: Listing) -> None:
        """The listing is there: go on with the command that wanted it."""
        self._effect = None
        self.marks.load(listing)
        act, self._again = self._again, None
        if act is not None:
            act()

    def retrieved(self) -> None:
        """The message was sent whole."""
        if self._counts_retrieval and isinstance(self._effect, effects.Retrieve):
            self.marks.note_retrieved(self._effect.number)
        self._effect = None
        self.completed.append((self.verb, True))

    def listing_sent(self) -> None:
        """The last slice was sent."""
        self._effect = None
        self.completed.append((self.verb, True))

    def updated(self) -> None:
        """All that was to be removed is, and the maildrop is released (RFC 1939 §6)."""
        if isinstance(self._effect, effects.Update):
            self.respond(responses.farewell(len(self._effect.sequences), self._effect.kept))
        self.close(Ending.QUIT)

    def tls_started(self, private: bool, surroundings: Callable[[], Surroundings]) -> None:
        """TLS is negotiated: forget what came before it.

        RFC 2595 §9: "Any protocol interactions prior to the TLS handshake are performed in the clear and can be
        modified by a man-in-the-middle attacker." It tells clients alone to discard them; so does this server.
        """
        self._effect = None
        self.lines.discard()
        self.authentication = self.named = None
        self.utf8 = False
        self.come_to(private, surroundings)

    def refused(self, reason: Reason, wait: float | None = None, *, final: bool = False) -> None:
        """The effect was refused before anything of it was sent; it may succeed after `wait` seconds, if known.

        After a `final` refusal the connection is closed.
        """
        effect, self._effect, self._again = self._effect, None, None
        if isinstance(effect, effects.LogIn) and reason is Reason.CREDENTIALS and not final:
            if self.authentication is None or not self.authentication.tells(self, effect.proof):
                self.fail(effect.proof)
            return
        self.respond(responses.refusal(reason, wait))
        if isinstance(effect, effects.Update):
            # RFC 1939 §6: "-ERR some deleted messages not removed", and the connection is closed either way.
            self.close(Ending.QUIT_FAILED)
        elif reason is Reason.LOST:
            self.close(Ending.LOST)
        elif isinstance(effect, effects.LogIn | effects.FetchKeys):
            # RFC 5034 §4: "If an AUTH command fails, [...] the server MUST behave as if the client had not issued the
            # AUTH command."
            self.authentication = None
            if final:
                self.close(Ending.LOGIN_FAILURES)

    def fail(self, proof: Proof | None) -> None:
        """The login with `proof` is refused: say so and forget the attempt."""
        self.authentication = None
        self.respond(responses.refusal(Reason.CREDENTIALS))
        self.login_failed(proof)

    @property
    def strangers_turn(self) -> bool:
        """Whether a command is due from somebody who isn't logged in."""
        return self.state is State.AUTHORIZATION and self.authentication is None
