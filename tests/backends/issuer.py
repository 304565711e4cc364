"""An issuer of tokens on loopback whose keys, answers and faults a test decides.

Owns what no real provider would do: wrong claims, other algorithms, keys that come and go, silence. The real provider
is `openid.py`. RFC 7517 §5, RFC 7662 §2, RFC 8414 §3.
"""

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "poplar"
CLIENT, SECRET = "poplar client", "s3cret/+ of poplar's"
MAIL = "ada@acme.example"


def make_key(algorithm: str, kid: str) -> Key:
    """A new private key for an algorithm."""
    parameters: Any = {"kid": kid, "use": "sig"}
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm], parameters)
    if algorithm.startswith("Ed"):
        return OKPKey.generate_key("Ed25519", parameters)
    return RSAKey.generate_key(2048, parameters)


def part(value: object) -> str:
    """One part of a JWT."""
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass
class Issuer:
    """A running issuer; everything may be changed while it runs."""

    url: str = ""
    keys: dict[str, Key] = field(default_factory=dict)
    """By kid; the first one signs, all are published."""
    opaque: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """Tokens that it knows, and what it says of them when it is asked."""
    requests: list[str] = field(default_factory=list)
    """The paths that were asked for."""
    answers: dict[str, tuple[int, bytes, Mapping[str, str]]] = field(default_factory=dict)
    """What a path answers instead of what it should: status, body, header fields."""
    silent: threading.Event = field(default_factory=threading.Event)
    """While it is set no request is answered."""
    metadata: dict[str, object] = field(default_factory=dict)
    """What it says of itself besides, or otherwise."""

    def claims(self, **differently: object) -> dict[str, object]:
        """Good claims but for what is given; one given as None is left out."""
        now = int(time.time())
        good: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "email": MAIL,
            "email_verified": True,
        }
        return {name: value for name, value in (good | differently).items() if value is not None}

    def token(self, algorithm: str = "RS256", kid: str | None = None, **differently: object) -> str:
        """A signed token; `kid` names the key, or else the first one signs."""
        name = kid or next(iter(self.keys))
        return signed(self.keys[name], {"alg": algorithm, "kid": name, "typ": "at+jwt"}, self.claims(**differently))

    def answer(self, method: str, path: str, form: bytes, authorization: str) -> tuple[int, bytes, Mapping[str, str]]:
        """What a request is answered."""
        self.requests.append(path)
        while self.silent.is_set():
            time.sleep(0.02)
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return found({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"} | self._asked | self.metadata)
        if path == "/jwks":
            return found({"keys": [key.as_dict(private=False) for key in self.keys.values()]})
        if path == "/introspect" and method == "POST":
            return self._introspected(form, authorization)
        return 404, b"", {}

    @property
    def _asked(self) -> dict[str, object]:
        return {"introspection_endpoint": f"{self.url}/introspect"}

    def _introspected(self, form: bytes, authorization: str) -> tuple[int, bytes, Mapping[str, str]]:
        told = b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if [unquote_plus(each) for each in told] != [CLIENT, SECRET]:
            return 401, b"", {}
        token = parse_qs(form.decode())["token"][0]
        known = self.opaque.get(token)
        return found({"active": False} if known is None else {"active": True, **known})


def signed(key: Key, header: dict[str, object], claims: dict[str, object]) -> str:
    """A token with this header, signed by the key."""
    registry = JWSRegistry(algorithms=[str(header["alg"])], strict_check_header=False)
    return jwt.encode(header, claims, key, registry=registry, default_type=None)


def found(content: object) -> tuple[int, bytes, Mapping[str, str]]:
    return 200, json.dumps(content).encode(), {"Content-Type": "application/json"}


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    """Of connections that wait to be accepted: with five, of many at once some wait for the kernel's next try."""


@contextmanager
def issuing(*algorithms: str) -> Iterator[Issuer]:
    """An issuer with a key for each of these, named like it; `http://127.0.0.1:PORT` until the block ends."""
    issuer = Issuer(keys={name: make_key(name, name) for name in algorithms or ("RS256",)})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            octets = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body, fields = issuer.answer(self.command, self.path, octets, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.silent.clear()
        server.shutdown()
        server.server_close()
        thread.join()
