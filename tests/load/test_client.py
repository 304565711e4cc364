"""The load client forgives nothing: whatever a server gets wrong ends a run with an error that says so."""

import json
import os
import shutil
import socketserver
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.load import program
from tests.load.program import LoadError, run

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load client needs a C compiler")

TEXT = b"Subject: hi\r\n\r\n..dotted\r\n"
OCTETS = len(TEXT) - 1
GOOD = {
    b"USER": b"+OK\r\n",
    b"PASS": b"+OK\r\n",
    b"STAT": b"+OK 2 %d\r\n" % (2 * OCTETS),
    b"LIST": b"+OK\r\n1 %d\r\n2 %d\r\n.\r\n" % (OCTETS, OCTETS),
    b"RETR": b"+OK\r\n" + TEXT + b".\r\n",
    b"DELE": b"+OK\r\n",
    b"QUIT": b"+OK\r\n",
}


class _Scripted(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        self.wfile.write(b"+OK hello\r\n")
        for line in self.rfile:
            self.server.heard.append(line.rstrip())
            answer = self.server.answers.get(line[:4].upper())
            if answer is None:
                return
            self.wfile.write(answer)
            if line.startswith(b"QUIT"):
                return


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Scripted)


@contextmanager
def server(**other: bytes | None) -> Iterator[_Server]:
    answers = {**GOOD, **{name.encode(): text for name, text in other.items()}}
    with _Server({name: text for name, text in answers.items() if text is not None}) as ready:
        threading.Thread(target=ready.serve_forever, daemon=True).start()
        yield ready
        ready.shutdown()


def drained(ready: _Server, *, sessions: int = 3, **options: object) -> dict[str, Any]:
    port = ready.server_address[1]
    words: dict[str, Any] = {
        "port": port,
        "user": "u#@a.example",
        "users": 3,
        "password": "p",
        "limit": sessions,
        **options,
    }
    figures, _, _ = run(dict, mode="drain", clients=1, **words)
    return figures


def test_sessions_messages_and_octets_are_counted() -> None:
    with server() as ready:
        figures = drained(ready)
        assert figures["errors"] == 0
        assert figures["session"]["count"] == 3
        assert figures["retrieval"]["count"] == 6
        assert figures["first_octet"]["count"] == 3
        assert figures["octets"] == 6 * OCTETS
        assert [line for line in ready.heard if line.startswith(b"USER")] == [
            b"USER u%d@a.example" % n for n in range(3)
        ]


def test_each_message_is_marked_where_that_is_asked_for() -> None:
    with server() as ready:
        drained(ready, sessions=1, delete=True)
        assert ready.heard[-5:] == [b"RETR 1", b"DELE 1", b"RETR 2", b"DELE 2", b"QUIT"]


WRONG: Sequence[tuple[str, dict[str, bytes | None], str]] = (
    ("a refused password", {"PASS": b"-ERR [AUTH] no\r\n"}, "refused: -ERR [AUTH] no"),
    ("a refused QUIT", {"QUIT": b"-ERR [SYS/TEMP] no\r\n"}, "refused: -ERR [SYS/TEMP] no"),
    ("fewer octets than LIST said", {"RETR": b"+OK\r\nSubject: hi\r\n.\r\n"}, "wrong count of octets: message 1: 13"),
    ("one octet more", {"RETR": b"+OK\r\n" + TEXT.replace(b"hi", b"hi!") + b".\r\n"}, "wrong count of octets"),
    ("no byte-stuffing", {"RETR": b"+OK\r\n" + TEXT.replace(b"..", b".") + b".\r\n"}, "without its byte-stuffing"),
    ("a bare LF", {"RETR": b"+OK\r\n" + TEXT.replace(b"hi\r\n", b"hi\n") + b".\r\n"}, "a line without CRLF"),
    ("another sum in STAT", {"STAT": b"+OK 2 1\r\n"}, "LIST and STAT don't agree"),
    ("a listing that is too short", {"LIST": b"+OK\r\n1 %d\r\n.\r\n" % OCTETS}, "LIST and STAT don't agree"),
    ("a connection that ends", {"RETR": None}, "closed in the middle"),
    ("a response nobody asked for", {"QUIT": b"+OK\r\n+OK\r\n"}, "said unasked"),
)


@pytest.mark.parametrize(("answers", "said"), [pair[1:] for pair in WRONG], ids=[pair[0] for pair in WRONG])
def test_what_a_server_gets_wrong_is_an_error_that_is_told(answers: dict[str, bytes | None], said: str) -> None:
    with server(**answers) as ready, pytest.raises(LoadError) as raised:
        drained(ready, sessions=1)
    assert said in str(raised.value)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with server() as ready:
        pass
    with pytest.raises(LoadError, match="the connection broke"):
        drained(ready, sessions=1)


def test_the_error_ends_with_the_figures_so_far() -> None:
    with server(QUIT=b"-ERR no\r\n") as ready, pytest.raises(LoadError) as raised:
        drained(ready, sessions=1)
    assert json.loads(str(raised.value).splitlines()[-1])["errors"] == 1


def test_whoever_builds_it_at_the_same_time_gets_a_whole_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "BUILT", tmp_path)

    def runs(_: int) -> bool:
        return os.access(program.built(), os.X_OK)

    with ThreadPoolExecutor(4) as builders:
        assert all(builders.map(runs, range(4)))

    assert [path.name for path in tmp_path.iterdir()] == ["client"]
    assert os.access(tmp_path / "client", os.X_OK)
