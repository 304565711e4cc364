"""What clients and mail servers do in a drill, a round at a time.

Owns the rounds. They stay on loopback and are few; what they hear is not judged, and whatever they open they close.
"""

import random
import socket
from contextlib import closing

from tests.backends.demo import Place
from tests.deploy.load import letter
from tests.system.clients.maildrop import Maildrop, Wire, answered, dialled, hand_in


def log_in(maildrop: Maildrop, place: Place) -> None:
    """A session that looks what there is."""
    wire, said = maildrop.log_in(place, private=False)
    with closing(wire):
        if said.startswith(b"+OK"):
            wire.say(b"STAT")
            wire.say(b"QUIT")


def read(maildrop: Maildrop, place: Place) -> None:
    """A session that reads the first message and leaves it."""
    wire, said = maildrop.log_in(place, private=False)
    with closing(wire):
        if said.startswith(b"+OK"):
            if wire.say(b"RETR 1").startswith(b"+OK"):
                wire.multi_line()
            wire.say(b"QUIT")


def open_session(maildrop: Maildrop, place: Place) -> Wire:
    """A session that goes on until it is closed."""
    wire, said = maildrop.log_in(place, private=False)
    assert said.startswith(b"+OK"), said
    return wire


def deliver(maildrop: Maildrop, place: Place, count: int = 1) -> None:
    """Some messages by LMTP."""
    wire = dialled(place)
    with closing(wire):
        answered(wire, b"LHLO drills.example", b"250")
        for seed in range(count):
            hand_in(wire, maildrop.account.address, letter(random.Random(seed)))


def knock(place: Place, first: bytes = b"") -> None:
    """A connection that says something, or nothing, and hears what it is told."""
    with socket.create_connection((place.host, place.port), 10) as sock:
        sock.sendall(first)
        sock.recv(1000)
