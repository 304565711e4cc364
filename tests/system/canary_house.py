"""An installation all of whose secrets are canaries: each system's password, key and shared secret, and whose they are.

Owns the backends, their end one by one, and the settings of the programs. Refuses to know what is done with it.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import pytest

from service.stores.postgres.logins import create_login
from tests.backends import hook as hooks
from tests.backends import issuer as issuers
from tests.backends import s3
from tests.backends.hook import Hook, hook, users
from tests.backends.issuer import Issuer, issuing
from tests.backends.s3 import S3Server, start_s3
from tests.faults.own_postgres import OwnPostgres
from tests.faults.site import Site, Valkey, valkey_in
from tests.stores import receiver as receivers
from tests.stores.receiver import Receiver, receiving
from tests.system.canaries import Canaries
from tests.telemetry.collector import Collector, collecting

T = TypeVar("T")
ROLES = ("front", "lmtp", "sweep", "api")
HOOKED = "eva@hooked.example"


@dataclass
class House:
    """Everything that runs."""

    site: Site
    canaries: Canaries
    postgres: OwnPostgres
    valkey: Valkey
    objects: S3Server
    hook: Hook
    issuer: Issuer
    webhook: Receiver
    collector: Collector
    answers: dict[str, bytes] = field(default_factory=dict)
    """What was answered by the API and the command, by what was asked."""

    @property
    def events(self) -> Path:
        return self.site.folder / "events.jsonl"


@contextmanager
def aside(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A server of a test's on an event loop and a thread of its own."""
    loop, ready, found, stop = asyncio.new_event_loop(), threading.Event(), list[T](), asyncio.Event()

    async def serve() -> None:
        async with server as running:
            found.append(running)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


@contextmanager
def house_in(folder: Path, postgres: OwnPostgres) -> Iterator[House]:
    """The installation, its programs not started yet."""
    canaries = Canaries()
    with ExitStack() as stack:
        changed = stack.enter_context(pytest.MonkeyPatch.context())
        changed.setattr(s3, "SECRET", canaries.new("secret key of the object store", between="+"))
        changed.setattr(hooks, "SECRET", canaries.new("secret of the hook", between="-of-the-hook-"))
        changed.setattr(receivers, "SECRET", canaries.new("secret of the webhook"))
        changed.setattr(issuers, "SECRET", canaries.new("client secret at the issuer"))
        password = canaries.new("password of a user whom the hook keeps")
        objects = start_s3(folder / "s3")
        stack.callback(objects.end)
        valkey = stack.enter_context(valkey_in(folder / "valkey"))
        issuer = stack.enter_context(issuing("RS256"))
        webhook = stack.enter_context(aside(receiving()))
        asked = stack.enter_context(aside(hook(users({HOOKED: password}))))
        values = settings(canaries, postgres.server.dsn(), redis_url(canaries, valkey), objects)
        values["events"] = events(folder, webhook)
        collector = stack.enter_context(collecting())
        values["traces"] = traces(canaries, collector)
        values["directory"] = {"outside": [directory(asked)]}
        (folder / "pop3").mkdir()
        site = Site(folder, values, valkey, stack)
        yield House(site, canaries, postgres, valkey, objects, asked, issuer, webhook, collector)


def settings(canaries: Canaries, owner: str, redis: str, objects: S3Server) -> dict[str, Any]:
    pop3 = {"protocol": "pop3", "host": "127.0.0.1", "port": 0}
    listeners = [
        pop3 | {"name": "pop3", "tls": "terminated"},
        pop3 | {"name": "clear", "tls": "none"},
        pop3 | {"name": "lmtp", "protocol": "lmtp"},
    ]
    return {
        "database": {"deadline": 3.0, "attempt": 1.0, **database(canaries, owner)},
        "redis": {"url": redis},
        "object_store": {
            "url": f"s3://{s3.BUCKET}/canaries",
            "endpoint": objects.endpoint,
            "region": "us-east-1",
            "access_key": s3.ACCESS,
            "secret_key": s3.SECRET,
            "allow_http": True,
            "deadline": 2.0,
            "retries": 0,
        },
        "http": {"host": "127.0.0.1", "port": 0},
        "listeners": listeners,
        "pop3": {"failure_delay": 0.0},
        "hashing": {"scram": True, "scram_secret": canaries.new("secret that hides names from SCRAM")},
        "oauth": {"plain_loopback": True, "remember_seconds": 0},
        "outage": {"read_only": True},
        # Counted, and never waited for.
        "abuse": {"exempt": [], "longest_delay": 0.0, "address_refuse_from": 1000, "network_refuse_from": 1000},
        "limits": {"login_failures": 100},
        "sweep": {"interval": 1.0, "removed_retention_days": 0.05},
        "logging": {"format": "json", "level": "debug"},
    }


def database(canaries: Canaries, owner: str) -> dict[str, str]:
    """A login for each role."""
    place, urls = urlsplit(owner).netloc.rpartition("@")[2], {}
    for role in ROLES:
        password = canaries.new(f"password of the database's login {role}")
        asyncio.run(create_login(owner, f"canary_{role}", password, f"poplar_{role}"))
        urls[f"{role}_url"] = (
            f"postgresql://canary_{role}:{quote(password, safe='')}@{place}/{urlsplit(owner).path[1:]}"
        )
    return urls | {"url": urls["front_url"]}


def redis_url(canaries: Canaries, valkey: Valkey) -> str:
    password = canaries.new("password of Redis", between="_-")
    with valkey.client() as client:
        client.config_set("requirepass", password)
    return f"redis://:{quote(password, safe='')}@127.0.0.1:{valkey.server.port}/0"


def events(folder: Path, webhook: Receiver) -> dict[str, Any]:
    url = f"http://127.0.0.1:{webhook.port}/events"
    told = {"file": str(folder / "events.jsonl"), "webhook": url, "webhook_loopback_http": True}
    return told | {"webhook_secret": receivers.SECRET, "flush": 2.0, "patience": 5.0}


def traces(canaries: Canaries, collector: Collector) -> dict[str, Any]:
    headers = f"authorization=Bearer%20{canaries.new('header for the collector', between='-')}"
    return {"enabled": True, "endpoint": collector.endpoint, "ratio": 1.0, "tenants": True, "headers": headers}


def directory(asked: Hook) -> dict[str, Any]:
    known = {"name": "provider", "url": asked.url, "secret": hooks.SECRET}
    return known | {"allow_clear": True, "provide": True, "deadline": 2.0}


def end_postgres(house: House) -> None:
    house.postgres.end(signal.SIGINT)
