"""A good sender, or a good reader, one session after the other at a leisurely pace, as a program for `waits.beside`.

    python -m tests.overload.lmtp_good HOST PORT ADDRESS [PASSWORD]

With a password it reads: login, STAT, UIDL, RETR of the first message, QUIT. Without one it sends a message of 9 KB.
"""

import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from typing import IO

EVERY = 0.05
AT_ONCE = 4
"""Senders at once: of a few sessions, a 99th percentile is the longest. A reader is alone with its maildrop."""
LONGEST = 1000
"""Octets of a command."""
TEXT = b"From: <good@example.org>\r\nSubject: good\r\n\r\n" + b"All is well, and will be well tomorrow.\r\n" * 220


STEPS: dict[str, list[float]] = {}
"""Seconds from each command, or from the text, to its answer."""


def exchange(sock: socket.socket, answers: IO[bytes], said: bytes, wanted: bytes) -> str:
    """Say something and read the answer: empty if it is as wanted, else what it was."""
    began = time.monotonic()
    sock.sendall(said)
    line = answers.readline()
    while line[3:4] == b"-" and line[:1].isdigit():
        line = answers.readline()
    word = "text" if len(said) > LONGEST else said[:4].decode().strip() or "greeting"
    STEPS.setdefault(word, []).append(time.monotonic() - began)
    return "" if line.startswith(wanted) else line.decode().strip() or "(cut)"


def multi_line(answers: IO[bytes]) -> None:
    """Read a multi-line response to its end."""
    while answers.readline() not in (b".\r\n", b""):
        pass


def send(sock: socket.socket, answers: IO[bytes], address: str) -> list[str]:
    """Hand in one message."""
    steps = [
        (b"", b"220"),
        (b"LHLO good.example\r\n", b"250"),
        (b"MAIL FROM:<good@example.org>\r\n", b"250"),
        (f"RCPT TO:<{address}>\r\n".encode(), b"250"),
        (b"DATA\r\n", b"354"),
        (TEXT + b".\r\n", b"250"),
        (b"QUIT\r\n", b"221"),
    ]
    return [exchange(sock, answers, *step) for step in steps]


def read(sock: socket.socket, answers: IO[bytes], address: str, password: str) -> list[str]:
    """One session of a reader."""
    found = [
        exchange(sock, answers, line, b"+OK")
        for line in (b"", f"USER {address}\r\n".encode(), f"PASS {password}\r\n".encode(), b"STAT\r\n")
    ]
    for line in (b"UIDL\r\n", b"RETR 1\r\n"):
        found.append(exchange(sock, answers, line, b"+OK"))
        if not found[-1]:
            multi_line(answers)
    return [*found, exchange(sock, answers, b"QUIT\r\n", b"+OK")]


def main(host: str, port: str, *account: str) -> None:
    """Begin, go on until the input ends, and tell."""
    sessions: list[tuple[float, float]] = []
    unexpected: Counter[str] = Counter()
    over = threading.Event()

    def session() -> None:
        began = time.monotonic()
        with socket.create_connection((host, int(port)), timeout=60) as sock, sock.makefile("rb") as file:
            found = send(sock, file, account[0]) if len(account) == 1 else read(sock, file, *account)
        sessions.append((began, time.monotonic() - began))
        unexpected.update(filter(None, found))

    def keep_coming() -> None:
        while not over.wait(EVERY):
            session()

    session()
    clients = [threading.Thread(target=keep_coming) for _ in range(AT_ONCE if len(account) == 1 else 1)]
    for client in clients:
        client.start()
    os.write(1, b"begun\n")
    sys.stdin.read()
    over.set()
    for client in clients:
        client.join()
    told = {"sessions": sessions, "unexpected": unexpected, "steps": STEPS}
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
