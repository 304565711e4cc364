"""A world for the pure session: performs its effects at once, in memory, and keeps what was delivered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from hypothesis import strategies as st

from service.model.account import MaildropKey, Recipient
from service.model.address import Address
from service.model.envelope import Envelope
from service.model.policy import Policy
from service.model.refusal import Reason, Refusal
from service.model.text import LineEnds
from service.protocol.lmtp.effects import (
    Abandon,
    Answered,
    Begin,
    Close,
    Deliver,
    Effect,
    Resolve,
    StartTls,
    Store,
)
from service.protocol.lmtp.session import LmtpSession
from service.protocol.lmtp.state import Terms

NAMESPACE = UUID(int=7)
TERMS = Terms(host="mx.example")
# Octets of which every trouble with line ends and dots is made.
TEXT = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a", b"\x00", b"\xff"]), max_size=25).map(
    b"".join
)
ENVELOPE = b"LHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\n"


def recipient(address: str) -> Recipient:
    """A maildrop that belongs to the tenant named like its domain."""
    tenant = address.rpartition("@")[2]
    key = MaildropKey(uuid5(NAMESPACE, tenant), uuid5(NAMESPACE, address))
    return Recipient(key, tenant, address, address, Policy())


@dataclass
class World:
    """Accepts every address but those in `unknown`; outcomes of delivery by address in `failing`."""

    session: LmtpSession = field(default_factory=lambda: LmtpSession(TERMS))
    unknown: Mapping[str, Reason] = field(default_factory=dict)
    failing: Mapping[str, Reason] = field(default_factory=dict)
    refuse_begin: Reason | None = None
    refuse_store: Reason | None = None
    output: bytes = b""
    effects: list[Effect] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    envelope: Envelope | None = None
    text: bytes = b""
    delivered: list[tuple[Envelope, bytes]] = field(default_factory=list)
    closed: bool = False
    widest: int = 0

    def play(self, *pieces: bytes) -> bytes:
        """Send `pieces`; the output they bring."""
        before = len(self.output)
        self.run()
        for piece in pieces:
            self.session.receive(piece)
            self.run()
        return self.output[before:]

    def run(self) -> None:
        """Perform effects until the session needs octets."""
        while not self.closed:
            step = self.session.advance()
            self.output += step.output
            self.answered += step.answered
            self.widest = max(self.widest, self.session.buffered)
            if step.effect is None and step.more:
                continue
            if step.effect is None:
                return
            self.effects.append(step.effect)
            self.perform(step.effect)

    def perform(self, effect: Effect) -> None:
        """One effect and its outcome."""
        match effect:
            case Resolve(address):
                self.session.resolved(self._resolve(address))
            case Begin(envelope):
                self.envelope, self.text = envelope, b""
                self.session.begun(Refusal(self.refuse_begin) if self.refuse_begin else None)
            case Store(text):
                self.text += text
                self.session.stored(Refusal(self.refuse_store) if self.refuse_store else None)
            case Deliver():
                self.session.delivered(self._deliver())
            case Abandon():
                self.envelope = None
                self.session.abandoned()
            case StartTls():
                self.session.tls_started()
            case Close():
                self.closed = True

    def _resolve(self, address: Address) -> Recipient | Refusal:
        reason = self.unknown.get(address.base)
        return Refusal(reason) if reason else recipient(address.base)

    def _deliver(self) -> list[Refusal | None]:
        assert self.envelope is not None
        self.delivered.append((self.envelope, self.text))
        reasons = [self.failing.get(one.address) for one in self.envelope.recipients]
        return [Refusal(reason) if reason else None for reason in reasons]


def last_line(world: World, data: bytes) -> bytes:
    """The last line of the replies to `data`."""
    return world.play(data).split(b"\r\n")[-2]


def greeted() -> World:
    """A world whose client has said LHLO."""
    world = World()
    world.play(b"LHLO client.example\r\n")
    return world


def codes(output: bytes) -> list[int]:
    """The codes of the replies in `output`, one for each, whatever number of lines it has."""
    lines = output.decode().split("\r\n")
    assert lines.pop() == "", "a reply was cut"
    return [int(line[:3]) for line in lines if line[3] == " "]


def canonical(pieces: Iterable[bytes]) -> bytes:
    """The text as it is stored."""
    ends = LineEnds()
    return b"".join([*(ends.feed(piece) for piece in pieces), ends.finish()])


def sent(text: bytes) -> bytes:
    """What is stored after `text`, end included, is sent by DATA in one piece."""
    world = World()
    world.play(ENVELOPE + b"DATA\r\n" + text)
    ((_, stored),) = world.delivered
    return canonical([stored])


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data`, cut at these places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
