"""One LMTP session: octets in, replies and effects out.

Owns the order in which octets become commands and text, and the pause while an effect is performed.
Refuses to know sockets and stores: `net/lmtp.py` calls `receive`, then `advance` until it gives neither
an effect nor more to run, and after each effect but Close the one outcome method that belongs to it.
RFC 2033, RFC 5321 §2.3.8 and §4.5.3.1.4 (lines), RFC 2920 §3.2 (pipelining), RFC 3030 §2, RFC 3207 §4.2.
"""

from collections.abc import Sequence

from service.model.account import Recipient
from service.model.refusal import Reason, Refusal
from service.protocol.foreign import TLS_RECORD, is_foreign
from service.protocol.lmtp import commands, replies
from service.protocol.lmtp.commands import Turn
from service.protocol.lmtp.data import DotFraming
from service.protocol.lmtp.effects import Abandon, Answered, Close, Deliver, Effect, StartTls, Step, Store
from service.protocol.lmtp.replies import Reply
from service.protocol.lmtp.state import Incoming, Mail, State, Terms

MAX_LINE_OCTETS = 2048
"""RFC 5321 §4.5.3.1.4: "The maximum total length of a command line including the command word and the <CRLF> is
512 octets. SMTP extensions may be used to increase this limit.", as SMTPUTF8 does."""

STEPS_BOUND = 32
"""Commands, or pieces of a text that is dropped, after which `advance` pauses, so that others are heard: some tenths of
a millisecond of commands. A sender may pipeline as many recipients as it likes, each one too many is only refused."""

ENDLESS_OCTETS = 64 * 1024
"""Octets of one command line after which the connection is closed: nothing that a mail server sends is so long."""


class LmtpSession:
    """A session as a pure machine; its buffer holds what was received and not used yet."""

    def __init__(self, terms: Terms, secure: bool = False) -> None:
        self._state = State(terms, secure)
        self._buffer = bytearray()
        self._output = bytearray(bytes(replies.greeting(terms.host)))
        self._answered: list[Answered] = []
        self._effect: Effect | None = None
        self._told = False
        self._verb = ""
        self._overlong = 0
        """Octets dropped of a line that was over its bound before it ended."""
        self.draining = False
        """Whether goodbye is said as soon as no transaction is open."""

    @property
    def buffered(self) -> int:
        """Octets received and not used yet."""
        return len(self._buffer)

    @property
    def in_text(self) -> bool:
        """Whether the octets that come are text: then their arrival is progress, though no reply is due."""
        return self._state.incoming is not None

    def receive(self, data: bytes) -> None:
        """Take octets from the client; those after Close are dropped.

        Those that come while `StartTls` is performed came through TLS, as nothing is read in between; they may
        arrive before the handshake's end is known here.
        """
        if not isinstance(self._effect, Close):
            self._buffer += data

    def advance(self) -> Step:
        """Run as far as the octets reach, or a bound. The effect is told once; until its outcome there is no other."""
        steps = 0
        while self._effect is None and steps < STEPS_BOUND and self._advance():
            steps += 1
        output, self._output = bytes(self._output), bytearray()
        answered, self._answered = tuple(self._answered), []
        effect = None if self._told else self._effect
        self._told = effect is not None or self._told
        return Step(output, effect, answered, more=steps == STEPS_BOUND and self._effect is None)

    def drain(self) -> None:
        """Say goodbye as soon as no transaction is open."""
        self.draining = True

    def resolved(self, outcome: Recipient | Refusal) -> None:
        """The recipient of `Resolve`, or why there is none."""
        self._done()
        mail = self._mail()
        if isinstance(outcome, Refusal):
            self._say(replies.REFUSED[outcome.reason])
        elif mail.tenants_with(outcome) > self._state.terms.max_tenants:
            self._say(replies.TOO_MANY_RECIPIENTS)
        else:
            mail.recipients.append(outcome)
            self._say(replies.RECIPIENT_OK)

    def begun(self, refusal: Refusal | None = None) -> None:
        """The world is ready for text, or refuses it."""
        self._done()
        mail = self._mail()
        mail.begun = refusal is None
        if self._state.incoming is not None:
            mail.refused = refusal.reason if refusal else None
        elif refusal is not None:
            self._state.mail = None
            self._say(replies.REFUSED[refusal.reason])
        else:
            self._buffer[:0] = DotFraming.opening
            self._state.incoming = Incoming("DATA", DotFraming(), final=True)
            self._say(replies.SEND_TEXT)

    def stored(self, refusal: Refusal | None = None) -> None:
        """There is room for more text, or the rest of this one is refused."""
        self._done()
        if refusal is not None:
            self._break_off(self._mail(), refusal.reason)

    def abandoned(self) -> None:
        """Nothing is left of the message begun."""
        self._done()

    def delivered(self, outcomes: Sequence[Refusal | None]) -> None:
        """One outcome for each recipient, in the order of their RCPT commands."""
        self._done()
        if len(outcomes) != len(self._mail().recipients):
            raise ValueError("one outcome for each recipient")
        # RFC 2033 §4.2: "the server returns one reply for each previously successful RCPT command in the mail
        # transaction, in the order that the RCPT commands were issued."
        self._say(*(replies.AFTER_TEXT[refusal.reason] if refusal else replies.DELIVERED for refusal in outcomes))
        self._state.mail = None

    def tls_started(self) -> None:
        """The handshake is over.

        RFC 3207 §4.2: "Upon completion of the TLS handshake, the SMTP protocol is reset to the initial state".
        """
        self._done()
        self._state = State(self._state.terms, secure=True)

    def _mail(self) -> Mail:
        if self._state.mail is None:
            raise RuntimeError("an outcome without a transaction")
        return self._state.mail

    def _done(self) -> None:
        if self._effect is None or not self._told:
            raise RuntimeError("an outcome without an effect")
        self._effect, self._told = None, False

    def _say(self, *given: Reply) -> None:
        for reply in given:
            self._output += bytes(reply)
            self._answered.append(Answered(self._verb, reply.code))

    def _advance(self) -> bool:
        """Take one step; False if more octets are needed first."""
        if self._state.incoming is not None:
            return self._read_text(self._state.incoming)
        if self.draining and self._state.mail is None:
            self._verb = ""
            self._turn(Turn((replies.SHUTTING_DOWN,), Close()))
            return False
        return self._read_command()

    def _turn(self, turn: Turn) -> None:
        self._say(*turn.replies)
        self._effect = turn.effect
        # RFC 3207 §4.2: "The server MUST discard any knowledge obtained from the client, such as the argument to the
        # EHLO command, which was not obtained from the TLS negotiation itself."
        if isinstance(turn.effect, StartTls | Close):
            self._buffer.clear()

    def _read_command(self) -> bool:
        # RFC 5321 §2.3.8: "Conforming implementations MUST NOT recognize or generate any other character or
        # character sequence as a line terminator" than CRLF.
        end = self._buffer.find(b"\r\n")
        if end < 0:
            self._refuse_unfinished()
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if is_foreign(line) and not self._overlong:
            self._verb = ""
            self._turn(Turn((), Close()))
        elif self._overlong or end > MAX_LINE_OCTETS - 2:
            self._refuse_overlong(self._overlong + end)
        else:
            self._run(line)
        return True

    def _refuse_unfinished(self) -> None:
        """Hold no more of an unfinished line than the bound, but the CR that may begin its end.

        A TLS ClientHello has no line end to wait for: close without a word.
        """
        if self._buffer.startswith(TLS_RECORD) and not self._overlong:
            self._turn(Turn((), Close()))
        elif len(self._buffer) > MAX_LINE_OCTETS:
            self._overlong += len(self._buffer) - 1
            del self._buffer[:-1]
            if self._overlong > ENDLESS_OCTETS:
                self._refuse_overlong(self._overlong)

    def _refuse_overlong(self, octets: int) -> None:
        """Say so once of a line of so many octets, and read on; nothing comes after one that is endless."""
        self._overlong, self._verb = 0, ""
        self._turn(Turn((replies.LINE_TOO_LONG,), Close() if octets > ENDLESS_OCTETS else None))

    def _run(self, line: bytes) -> None:
        try:
            text = line.decode().rstrip(" ")
        except UnicodeDecodeError:
            text = ""
        verb, _, argument = text.partition(" ")
        # Only ASCII has commands: in Unicode other letters have these as their capitals too.
        self._verb = verb.upper() if verb.isascii() else ""
        if not text or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text):
            self._say(replies.UNREADABLE)
        else:
            self._turn(commands.run(self._state, self._verb, argument.lstrip(" ")))

    def _read_text(self, incoming: Incoming) -> bool:
        self._verb = incoming.verb
        if incoming.framing.ended:
            self._end_text(incoming)
            return True
        text = incoming.framing.take(self._buffer)
        if text:
            self._take(text)
        return bool(text) or incoming.framing.ended

    def _take(self, text: bytes) -> None:
        """Pass `text` on, unless the transaction has no use for it any more: then it is dropped."""
        mail = self._state.mail
        if mail is None or not mail.recipients or mail.refused is not None:
            return
        mail.octets += len(text)
        if mail.octets <= self._state.terms.max_octets:
            self._effect = Store(text)
        else:
            self._break_off(mail, Reason.TOO_BIG)

    def _break_off(self, mail: Mail, reason: Reason) -> None:
        """Leave nothing of the text, and drop its rest as it comes."""
        mail.refused, mail.begun = reason, False
        self._effect = Abandon(reason)

    def _end_text(self, incoming: Incoming) -> None:
        self._state.incoming = None
        mail = self._state.mail
        if mail is None:
            # RFC 3030 §2: "If a failure occurs after a BDAT command is received, the receiver-SMTP MUST accept and
            # discard the associated message data before sending the appropriate 5XX or 4XX code."
            self._say(replies.BAD_SEQUENCE)
        elif not incoming.final:
            self._say(self._chunk_reply(mail))
        elif mail.recipients and mail.refused is None:
            self._effect = Deliver()
        else:
            # RFC 2033 §4.3: "If there were no previously successful RCPT commands in the mail transaction, then
            # the BDAT LAST command returns zero replies."
            self._say(*[replies.REFUSED[mail.refused or Reason.NO_RECIPIENT]] * len(mail.recipients))
            self._state.mail = None

    def _chunk_reply(self, mail: Mail) -> Reply:
        if not mail.recipients:
            return replies.NEED_RECIPIENT
        return replies.REFUSED[mail.refused] if mail.refused else replies.CHUNK_OK
