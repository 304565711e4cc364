"""A small HTTP server of the provider's own, which may go away and come back on its port.

Owns the socket. What it answers is the drill's.
"""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from service.embedded.process import free_port

Answer = Callable[[bytes], bytes]


def accepts(_body: bytes) -> bytes:
    """What a receiver of events says."""
    return b""


def allows(body: bytes) -> bytes:
    """What a hook says that knows everybody."""
    return json.dumps({"id": json.loads(body)["id"], "answer": "allow"}).encode()


class Web:
    """The server, up within the block unless it is ended."""

    def __init__(self, answer: Answer) -> None:
        self._port = free_port()
        self._handler = _handler_of(answer)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/poplar"

    def __enter__(self) -> "Web":
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Answer from now on."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        """Refuse every connection."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _handler_of(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
