"""Which sieges there are: who comes, how many, under which settings, and what stands against them.

Owns the sizes of the whole form and of the short one. Refuses to know how a siege is run. `changed` says what of
production's settings had to be changed, and why.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.overload.site import Crowd

WHOLE_CROWD = Crowd(maildrops=10_000, octets=50_000_000)
SHORT_CROWD = Crowd(maildrops=300, octets=5_000_000)


@dataclass(frozen=True)
class Siege:
    """One kind of hostile clients at one front end."""

    name: str
    kind: str
    clients: int
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    listener: str = "pop3"
    each: float = 256.0
    """KiB that one client may cost at the peak; what the process needs once is allowed beside it."""
    keeps: float = 0.0
    """MiB that stay with the process, once: what it remembers of accounts and addresses, some 1.1 KiB each, lies among
    what the sessions had, and Python gives back no MiB of its memory in which anything is left. So it is at most what
    the sessions took, which a second siege takes again."""
    against: str = ""
    """What bounds it: settings by name."""
    changed: str = ""

    def shorter(self, clients: int, **options: Any) -> "Siege":
        """The same with fewer clients, and other options."""
        return replace(self, clients=clients, options={**self.options, **options})


ROOM = {"limits": {"connections": 13_000}}
BRISK = {"deadlines": {"autologout": 60.0, "short_autologout": True}}
IDLE = Siege(
    "idle",
    "idle",
    10_000,
    settings=ROOM,
    each=24.0,
    keeps=96.0,
    against="limits.connections, deadlines.autologout",
    changed="limits.connections 13,000 (10,000), so that 10,000 idle ones leave room for others",
)
TRICKLE = Siege(
    "trickle",
    "trickle",
    10_000,
    {"every": 6.0},
    BRISK,
    each=24.0,
    keeps=80.0,
    against="limits.connections (the oldest that isn't logged in makes room), deadlines.autologout",
    changed="time runs ten times as fast: an octet in 6 s (60 s), deadlines.autologout 60 s (600 s)",
)
UNREAD = Siege(
    "unread",
    "unread",
    500,
    {"settle": 10.0, "receive_buffer": 4096},
    {"deadlines": {"stall": 60.0}},
    each=1200.0,
    against="limits.session_octets, limits.retrieval_octets, deadlines.stall",
    changed="deadlines.stall 60 s (300 s), so that it is over sooner",
)
PIPELINE = Siege(
    "pipeline",
    "pipeline",
    20,
    {"command": "NOOP", "commands": 100_000, "logs_in": True, "reads": True},
    each=1200.0,
    against="limits.session_octets, turns of the event loop (fairness.steps)",
)
CHATTY = replace(
    PIPELINE,
    name="pipeline, unread",
    options=PIPELINE.options | {"command": "CAPA", "reads": False, "receive_buffer": 4096},
    settings={"deadlines": {"stall": 20.0}},
    against="limits.session_octets, deadlines.stall",
    changed="deadlines.stall 20 s (300 s), so that it is over sooner",
)
STRANGERS = replace(
    CHATTY,
    name="pipeline, unread, strangers",
    clients=200,
    options=CHATTY.options | {"logs_in": False},
    each=400.0,
    against="16 KiB for a stranger, limits.connections, deadlines.stall",
)
HANDSHAKES = Siege(
    "handshakes",
    "handshakes",
    1_000,
    listener="pop3s",
    each=160.0,
    against="deadlines.handshake, limits.connections",
)
NAMES = Siege("sni", "names", 16, {"least": 3_000}, listener="pop3s", each=1024.0, against="one context a certificate")
FLOOD = Siege(
    "flood",
    "flood",
    200,
    {"accounts": 5_000, "addresses": 20_000, "settle": 5.0},
    each=256.0,
    against="abuse.*, hashing.queue, pop3.failure_delay, limits.login_failures",
)

WHOLE = (IDLE, TRICKLE, UNREAD, PIPELINE, CHATTY, STRANGERS, HANDSHAKES, NAMES, FLOOD)
SHORT = (
    IDLE.shorter(100),
    TRICKLE.shorter(300, every=1.0),
    # A local store's message of so few octets is verified whole before it is sent.
    replace(UNREAD.shorter(20, settle=0.0), each=6.0 * 1024),
    PIPELINE.shorter(2, commands=20_000),
    CHATTY.shorter(4, commands=20_000),
    STRANGERS.shorter(20, commands=20_000),
    HANDSHAKES.shorter(100),
    NAMES.shorter(4, least=40),
    FLOOD.shorter(20, accounts=200, addresses=2_000, settle=0.0),
)
