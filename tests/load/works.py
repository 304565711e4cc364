"""What is measured: each piece of work with its maildrops, the client's options, and the goal it is held to.

Owns the list and the sizes. Refuses to know servers, runs and tables. A poll is USER, PASS, STAT and QUIT, each sent
when the response before has come, on a connection of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.load.mail import Kind

POLLED = Kind("poll", 256, 10, cheap=True)
DEAR = Kind("dear", 256, 10)
IDLE = Kind("idle", 5_000)
SMALL = Kind("small", 64, 50, 9_000, cheap=True)
FAR = Kind("far", 16, 500, 9_000, cheap=True)
"""Long enough for the window of what is fetched ahead to be open most of the time."""
LARGE = Kind("large", 8, 6, 5_000_000, cheap=True)
LONG = Kind("long", 1, 100_000, shared=True, cheap=True)
ENDLESS = Kind("endless", 1, 1_000_000, shared=True, cheap=True)
DELIVERED = Kind("in", 64, cheap=True)
MESSAGES = "retrieval"


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the table."""

    name: str
    what: str
    kind: Kind
    goal: str
    options: Mapping[str, object]
    """The client's."""
    counted: str = "session"
    """Which of the client's counts is the figure."""
    unit: str = "polls/s"
    """What the figure is; MB/s counts octets, ms is the median time of one."""
    port: str = "pop3"
    """Of the server: pop3 in clear text behind a balancer, pop3s with TLS, lmtp."""
    site: str = "usual"
    """Which Poplar: see `bench.SITES`. The usual one has as many front ends as there are cores, two."""
    beside: str = "Dovecot"
    """What stands beside it: Dovecot, another site of Poplar's, or nothing."""
    restored: bool = False
    """Whether the maildrops are filled again before each run."""
    once: bool = False
    """Whether the run ends when each maildrop was seen once, rather than by the clock."""


def _options(mode: str, clients: int, **more: object) -> Mapping[str, object]:
    return MappingProxyType({"mode": mode, "clients": clients, **more})


WORKS = (
    Work("poll-16", "polls, 16 clients", POLLED, "2x", _options("poll", 16)),
    Work("poll-16-one", "polls, 16 clients, one front end", POLLED, "2x", _options("poll", 16), site="one"),
    Work("poll-128", "polls, 128 clients", POLLED, "2x", _options("poll", 128)),
    Work("argon2", "polls, Argon2id stored, 16 clients", DEAR, "25x", _options("poll", 16)),
    Work("uncached", "logins, Argon2id computed each time", DEAR, "120/s", _options("poll", 32),
         unit="logins/s", site="uncached", beside=""),
    Work("uncached-7", "the same with hashing.argon2 7MiB", DEAR, "120/s", _options("poll", 32),
         unit="logins/s", site="uncached 7MiB", beside=""),
    Work("mix", "polls, one session in 20 drains", SMALL, "", _options("mix", 32)),
    Work("drain", "9 KB messages, 8 clients", SMALL, "0.5x", _options("drain", 8), MESSAGES, "messages/s"),
    Work("remove", "the same, each removed", SMALL, "", _options("drain", 8, delete=True), MESSAGES, "messages/s",
         restored=True, once=True),
    Work("large", "5 MB messages, 4 clients", LARGE, "1x", _options("drain", 4), MESSAGES, "MB/s"),
    Work("commands", "pipelined NOOP, STAT, LIST n, UIDL n; one process", POLLED, "100000/s", _options("commands", 4),
         "command", "commands/s", site="one"),
    Work("deliver", "LMTP deliveries of 9 KB, 16 senders", DELIVERED, "1x", _options("deliver", 16),
         "delivery", "deliveries/s", port="lmtp"),
    Work("hello", "TLS handshakes, 16 clients", POLLED, "1x", _options("hello", 16), unit="handshakes/s", port="pop3s"),
    Work("hello-one", "TLS handshakes, one front end", POLLED, "1x", _options("hello", 16), unit="handshakes/s",
         port="pop3s", site="one"),
    Work("tls", "5 MB messages over TLS, 4 clients", LARGE, "1x", _options("drain", 4), MESSAGES, "MB/s", port="pop3s"),
    Work("long-poll", "poll of 100,000 messages", LONG, "1/40 of its time", _options("poll", 1), unit="ms"),
    Work("long-uidl", "STAT and UIDL of 100,000 messages", LONG, "1/2 of its time",
         _options("poll", 1, ask="STAT,UIDL"), unit="ms"),
    Work("s3-1", "9 KB messages from S3 20 ms away, 1 client", FAR, "1400/s", _options("drain", 1),
         MESSAGES, "messages/s", site="s3 far", beside="s3"),
    Work("s3-8", "the same, 8 clients", FAR, "0.9x of S3 near", _options("drain", 8),
         MESSAGES, "messages/s", site="s3 far", beside="s3"),
    Work("workers", "polls, 128 clients, 2 front ends beside 1", POLLED, "", _options("poll", 128), beside="one"),
    Work("endless", "STAT and UIDL of 1,000,000 messages", ENDLESS, "bounded memory",
         _options("poll", 1, ask="STAT,UIDL"), unit="ms", beside=""),
)  # fmt: skip
