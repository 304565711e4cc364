"""Another client's NOOPs beside whatever else a front end does, as a program for `waits.beside`.

    python -m tests.overload.million_beside HOST PORT ADDRESS PASSWORD

Says NOOP every few milliseconds until its input ends. Refuses to know of what.
"""

import json
import os
import selectors
import socket
import sys
import time

EVERY = 0.002


def main(host: str, port: str, address: str, password: str) -> None:
    """Log in, begin, and tell what each round trip took."""
    with socket.create_connection((host, int(port)), timeout=60) as sock, sock.makefile("rb") as answers:
        answers.readline()
        for line in (f"USER {address}", f"PASS {password}"):
            sock.sendall(f"{line}\r\n".encode())
            assert answers.readline().startswith(b"+OK")
        os.write(1, b"begun\n")
        waiting = selectors.DefaultSelector()
        waiting.register(sys.stdin, selectors.EVENT_READ)
        waits = []
        while not waiting.select(EVERY):
            began = time.monotonic()
            sock.sendall(b"NOOP\r\n")
            assert answers.readline().startswith(b"+OK")
            waits.append((began, time.monotonic() - began))
    os.write(1, json.dumps({"sessions": waits, "unexpected": {}}).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
