"""What AUTH began, and what failed of all logins of a connection.

Owns the SASL exchange in progress and the count of failures. Refuses to know how a proof is verified.
RFC 5034 §4 (AUTH), RFC 7628 §3.2.3 (a failure that is told in a challenge).
"""

from typing import TYPE_CHECKING

from service.model.proof import Proof
from service.model.scram import ScramKeys
from service.protocol.pop3 import responses
from service.protocol.pop3.effects import FetchKeys, LogIn
from service.protocol.sasl.exchange import Challenge, Exchange, Fetch, Mechanism, Move, Outside, decode, encode

if TYPE_CHECKING:
    from service.protocol.pop3.session import Session


ATTEMPTS_PER_FAILURE = 4
"""How often the same wrong password may be tried, on the average, before it is too much all the same."""


class Failures:
    """The failed logins of one connection.

    The same wrong password counts once: Thunderbird tries a saved one by PLAIN, LOGIN and USER in turn.
    """

    __slots__ = ("_attempts", "_different")

    def __init__(self) -> None:
        self._attempts = 0
        # Nearly every session has none: a set of its own would be the largest thing here.
        self._different: frozenset[int] = frozenset()

    def add(self, proof: Proof | None) -> None:
        """Count a refused proof; only its hash, salted by this process, is kept."""
        self._attempts += 1
        self._different |= {hash(proof) if proof else -self._attempts}

    def reached(self, limit: int) -> bool:
        """Whether `limit` different ones failed, or far too many in all."""
        return len(self._different) >= limit or self._attempts >= ATTEMPTS_PER_FAILURE * limit


class Authentication:
    """One AUTH, from its mechanism to what comes of its login; while a session has one, lines answer challenges."""

    __slots__ = ("_exchange", "_fetch", "_if_refused", "_mechanism", "_owed", "_refused")

    def __init__(self, mechanism: Mechanism, outside: Outside) -> None:
        self._mechanism = mechanism
        self._exchange: Exchange = mechanism.begin(outside)
        self._fetch: Fetch | None = None
        self._if_refused: bytes | None = None
        self._owed = False
        self._refused: Proof | None = None

    def begin(self, session: "Session", initial: bytes | None) -> None:
        """Start the exchange, with the client's initial response if it sent one."""
        mechanism = self._mechanism
        if initial is None:
            # RFC 5034 §4: without an initial response a client-first mechanism gets an empty challenge, exactly `+ `.
            session.ask(responses.challenge(encode(mechanism.first_challenge)))
        elif not mechanism.client_first:
            # RFC 5034 §4: an initial response to a mechanism in which the server speaks first MUST be rejected.
            self._end(session, responses.SYNTAX_ERROR)
        else:
            # RFC 5034 §4: a single "=" is an initial response of zero octets.
            self.answer(session, b"" if initial == b"=" else initial)

    def answer(self, session: "Session", line: bytes) -> None:
        """Take the client's line in an exchange."""
        if self._owed:
            # RFC 7628 §3.2.3: "The client MUST then send either an additional client response consisting of a single
            # %x01 (control A) character to the server in order to allow the server to finish the exchange" or cancel.
            # Whatever it says, the exchange fails now.
            session.fail(self._refused)
            return
        if line == b"*":
            # RFC 5034 §4: "If the client wishes to cancel the authentication exchange, it issues a line with a single
            # "*"."
            self._end(session, responses.CANCELLED)
            return
        try:
            response = decode(line)
        except ValueError:
            self._end(session, responses.SYNTAX_ERROR)
            return
        self._go_on(session, self._exchange.respond(response))

    def keys_fetched(self, session: "Session", keys: ScramKeys, nonce: str) -> None:
        """Go on with the keys that the exchange asked for."""
        if self._fetch is None:
            raise AssertionError("keys that no exchange asked for")
        self._go_on(session, self._fetch.resume(keys, nonce))

    def tells(self, session: "Session", proof: Proof | None) -> bool:
        """Whether a refusal of `proof` is told in a challenge first; the `-ERR` is then owed until it is answered."""
        if self._if_refused is None:
            return False
        session.ask(responses.challenge(encode(self._if_refused)))
        self._owed, self._refused = True, proof
        return True

    def _go_on(self, session: "Session", move: Move) -> None:
        match move:
            case Challenge(data=data):
                session.ask(responses.challenge(encode(data)))
            case Fetch(name=name):
                self._fetch = move
                session.perform(FetchKeys(name, self._mechanism.name))
            case _:
                self._if_refused = move.if_refused
                session.perform(LogIn(self._mechanism.name, move.proof))

    def _end(self, session: "Session", response: bytes) -> None:
        """The exchange is over without a login; one that cost a look-up counts as a failed login."""
        session.authentication = None
        session.respond(response)
        if self._fetch is not None:
            session.login_failed(None)
