"""The smallest outside a POP3 session can have: a maildrop in a list, one account, no waiting.

Performs each effect at once and collects what the client would read. Everything that decides an
answer is the real protocol code.
"""

from array import array
from dataclasses import dataclass, field
from hashlib import sha256

from service.model.ending import Ending
from service.model.listing import DropListing, Listing
from service.model.policy import Announced, Policy
from service.model.proof import BearerProof, CertificateProof, Password, Proof, ScramProof
from service.model.refusal import Reason
from service.model.scram import ScramKeys, derive_scram
from service.protocol.bytestuffing import Stuffer, TopCut
from service.protocol.pop3 import effects, responses
from service.protocol.pop3.capabilities import Surroundings
from service.protocol.pop3.session import Session
from service.protocol.sasl.exchange import Outside
from service.protocol.sasl.mechanisms import EVERYWHERE, MECHANISMS

NAME, SECRET = "user@example.org", "good pass"
MESSAGES = (
    b"Subject: one\r\n\r\nfirst\r\n.second\r\n..third\r\n",
    b"Subject: two\r\n\r\n.\r\n",
    b"Subject: three\r\nX: y\r\n\r\nl1\r\nl2\r\nl3\r\n",
)
TLS = Surroundings(private=True, may_start_tls=False, announced=Announced())
SCRAM = TLS._replace(mechanisms=EVERYWHERE | {"SCRAM-SHA-256"})
TOKEN = "good.token"
"""What opens the maildrop by OAUTHBEARER and XOAUTH2."""
BINDING = {"tls-server-end-point": b"the hash of a certificate"}
ALL = TLS._replace(
    mechanisms=frozenset(MECHANISMS),
    outside=Outside(frozenset({"pop.example.org"}), frozenset({995}), "mail", "", BINDING, (NAME,)),
)
"""A connection on which every mechanism can succeed."""
KEYS = derive_scram(SECRET, b"a salt of sixteen", 4096)
NOBODYS = ScramKeys(b"sixteen of a salt", 4096, bytes(32), bytes(32))
CLEAR = Surroundings(private=False, may_start_tls=True, announced=Announced())


def unique_id(message: bytes) -> bytes:
    """16 octets that stand for `message`."""
    return sha256(message).digest()[:16]


@dataclass
class World:
    """One client, one session, one maildrop."""

    around: Surroundings = TLS
    messages: list[bytes] = field(default_factory=lambda: list(MESSAGES))
    policy: Policy = field(default_factory=Policy)
    refuse: dict[type, Reason] = field(default_factory=dict)
    """Effects that are refused, and why."""
    closed: Ending | None = None
    performed: list[effects.Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = Session(self.around.private, lambda: self.around)
        self.frozen: list[bytes] = []
        self.noted: list[bytes] = []
        """What is noted as retrieved."""

    def send(self, data: bytes) -> bytes:
        """What the client reads after it sent `data`."""
        if self.closed:
            return b""
        self.session.lines.receive(data)
        read = b""
        while self.closed is None:
            output, effect, _, more = self.session.advance()
            read += output
            if effect is not None:
                self.performed.append(effect)
                read += self._perform(effect)
            elif not more:
                break
        return read

    def log_in(self) -> "World":
        """This world in TRANSACTION."""
        answer = self.send(f"USER {NAME}\r\nPASS {SECRET}\r\n".encode())
        assert answer.count(b"+OK") == 2, answer
        self.performed.clear()
        return self

    def _perform(self, effect: effects.Effect) -> bytes:
        reason = self.refuse.get(type(effect))
        if reason is not None:
            self.session.refused(reason)
            return b""
        return self._granted(effect)

    def _granted(self, effect: effects.Effect) -> bytes:
        match effect:
            case effects.LogIn(proof=proof):
                self._log_in(proof)
            case effects.FetchKeys(name=name):
                self.session.keys_fetched(KEYS if name == NAME else NOBODYS, f"nonce{len(self.performed)}")
            case effects.LoadListing():
                self.session.listing_loaded(self._listing())
            case effects.Retrieve(number=number):
                self.session.retrieved()
                message = self.frozen[number - 1]
                return responses.retrieved(len(message)) + _stuffed(message)
            case effects.Top(number=number, lines=lines):
                self.session.retrieved()
                return responses.OK + _stuffed(_top(self.frozen[number - 1], lines))
            case effects.SendListing(slices=slices):
                self.session.listing_sent()
                return b"".join(slices)
            case effects.Update(sequences=sequences, retrieved=retrieved):
                self.messages = [m for n, m in enumerate(self.frozen, 1) if n * 10 not in sequences]
                self.noted = [m for n, m in enumerate(self.frozen, 1) if n * 10 in retrieved]
                self.session.updated()
            case effects.StartTls():
                self.session.tls_started(True, lambda: TLS)
            case effects.Close(ending=ending):
                self.closed = ending
        return b""

    def _log_in(self, proof: Proof | None) -> None:
        if not _is_right(proof):
            self.session.refused(Reason.CREDENTIALS)
            return
        self.frozen = list(self.messages)
        octets = sum(map(len, self.frozen))
        drop = DropListing(len(self.frozen), octets, 10 * len(self.frozen), 0)
        self.session.logged_in(drop, self.policy, counts_retrieval=self.policy.retrieved_days is not None)

    def _listing(self) -> Listing:
        numbers = range(1, len(self.frozen) + 1)
        return Listing(
            array("q", [10 * n for n in numbers]),
            array("q", map(len, self.frozen)),
            b"".join(map(unique_id, self.frozen)),
        )


def _is_right(proof: Proof | None) -> bool:
    match proof:
        case Password(name=name, secret=secret, authzid=authzid):
            return (name, secret, authzid) == (NAME, SECRET, "")
        case ScramProof(name=name, valid=valid, authzid=authzid):
            return valid and (name, authzid) == (NAME, "")
        case BearerProof(name=name, token=token):
            return (name, token) == (NAME, TOKEN)
        case CertificateProof(name=name, certified=certified):
            return name in certified
    return False


def _stuffed(message: bytes) -> bytes:
    stuffer = Stuffer()
    return stuffer.feed(message) + stuffer.finish()


def _top(message: bytes, lines: int) -> bytes:
    cut = TopCut(message.index(b"\r\n\r\n") + 4, lines)
    return cut.feed(message) + cut.finish()
