"""Postgres, Valkey and an S3 server beside the cluster, reached by its pods at the bridge's address.

Owns an empty database with a login for each part, an empty bucket, and the file that tells the tests of them. The
servers listen on loopback, as all that is embedded does; relays stand at the bridge.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

from service.embedded.postgres import PostgresServer, ensure_database, running_postgres
from service.embedded.valkey import running_valkey
from service.stores.postgres.logins import create_login
from tests.backends.postgres import execute
from tests.backends.relay import Relay
from tests.backends.s3 import BUCKET, S3Server, start_s3
from tests.cluster.place import ADDRESS, RUN

PORTS = {"postgres": 5432, "valkey": 6379, "s3": 9000}
PARTS = ("front", "lmtp", "sweep", "api")
SMALL = {"resources": {"requests": {"cpu": "25m", "memory": "128Mi"}}}


@contextmanager
def backends(authority: trustme.CA) -> Iterator[Path]:
    """The file for POPLAR_E2E_BACKENDS, with all that it names running."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(RUN / "postgres", durable=False))
        valkey = stack.enter_context(running_valkey(RUN / "valkey", durable=False))
        s3 = start_s3(RUN / "s3")
        stack.callback(s3.end)
        stack.enter_context(_relays({"postgres": postgres.port, "valkey": valkey.port, "s3": s3.port}))
        told = RUN / "backends.yaml"
        files = {name: {"uri": _here(url, "postgres")} for name, url in _logins(postgres).items()}
        files |= {"redis": {"url": _here(valkey.url, "valkey")}, "bucket": _keys(s3), "certificate": _pair(authority)}
        told.write_text(json.dumps({"secrets": files, "values": _values()}, indent=2), "utf-8")
        yield told


def _values() -> dict[str, Any]:
    return {
        "image": {"pullPolicy": "Never"},
        "database": {part: {"secretName": f"db-{part}"} for part in ("owner", *PARTS)},
        "redis": {"secretName": "redis"},
        "objectStore": {
            "url": f"s3://{BUCKET}/e2e",
            "endpoint": f"http://{ADDRESS}:{PORTS['s3']}",
            "region": "us-east-1",
            "secretName": "bucket",
        },
        "config": {"object_store": {"allow_http": True}},
        "tls": {"secretNames": ["certificate"]},
        # A machine for tests has few cores, and requests are promises.
        **dict.fromkeys(("frontEnd", "lmtp", "admin", "sweep", "migration"), SMALL),
    }


def _logins(server: PostgresServer) -> dict[str, str]:
    """Secrets' names and URLs, as deploy/by-hand.md has the logins made."""
    asyncio.run(ensure_database(server, "poplar"))
    urls = {"db-owner": server.dsn("poplar")}
    for part in PARTS:
        password = secrets.token_urlsafe(12)
        execute(server.dsn(), f"CREATE ROLE poplar_{part} NOLOGIN")
        asyncio.run(create_login(server.dsn(), f"p_{part}", password, f"poplar_{part}"))
        urls[f"db-{part}"] = server.dsn("poplar", f"p_{part}", password)
    return urls


def _keys(server: S3Server) -> dict[str, str]:
    return {"access_key": str(server.options.access_key), "secret_key": str(server.options.secret_key)}


def _pair(authority: trustme.CA) -> dict[str, str]:
    pair = authority.issue_cert("pop.e2e.example")
    return {"tls.crt": pair.cert_chain_pems[0].bytes().decode(), "tls.key": pair.private_key_pem.bytes().decode()}


def _here(url: str, name: str) -> str:
    """The URL as the pods must say it."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@{ADDRESS}:{PORTS[name]}").geturl()


@contextmanager
def _relays(ports: dict[str, int]) -> Iterator[None]:
    """From the bridge to these ports of loopback, on a loop of their own."""
    loop = asyncio.new_event_loop()
    # Pods that are ended reset their connections; the tests see whatever comes of it.
    loop.set_exception_handler(lambda _loop, _context: None)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        for name, port in ports.items():
            listening = asyncio.start_server(Relay(port).serve, ADDRESS, PORTS[name])
            asyncio.run_coroutine_threadsafe(listening, loop).result(10)
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
