"""An S3 server whose answer for an object that isn't there is chosen: Amazon's is 403 for who may not list the bucket.

Owns the few lines of HTTP, on loopback. Refuses to check who asks.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_KEY = re.compile(rb"<Key>.+?</Key>")


@asynccontextmanager
async def unlisted_s3(code: str) -> AsyncIterator[str]:
    """Its endpoint; `code` is S3's word for what is missing, NoSuchKey or AccessDenied."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(code))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


def _handler(code: str) -> type[BaseHTTPRequestHandler]:
    blobs: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            blobs[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200, b"")

        def do_GET(self) -> None:
            blob = blobs.get(self.path)
            if blob is None:
                self._answer(404 if code == "NoSuchKey" else 403, f"<Error><Code>{code}</Code></Error>".encode())
            else:
                self._answer(206, blob, f"bytes 0-{len(blob) - 1}/{len(blob)}")

        def do_POST(self) -> None:
            """DeleteObjects."""
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            deleted = b"".join(b"<Deleted>" + key + b"</Deleted>" for key in _KEY.findall(asked))
            blobs.clear()
            self._answer(200, b"<DeleteResult>" + deleted + b"</DeleteResult>")

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Not at all."""

        def _answer(self, status: int, body: bytes, content_range: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"x"')
            self.send_header("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()
            self.wfile.write(body)

    return Handler
