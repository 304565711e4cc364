"""The settings with which the demo runs Poplar.

Owns their values. The demo listens on this machine's loopback alone, because LMTP asks nobody who they are.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from service.app.running import Running
from service.embedded.state import write_whole
from service.settings import Settings

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DemoPorts:
    """Where the demo listens; 0 picks a free port."""

    pop3: int = 2110
    pop3s: int = 2995
    lmtp: int = 2424
    http: int = 2080


@dataclass(frozen=True, slots=True)
class Logins:
    """The DSN of each part's own login."""

    front: str
    lmtp: str
    sweep: str
    api: str
    owner: str


def demo_settings(state: Path, redis_url: str, logins: Logins, ports: DemoPorts) -> Settings:
    """Settings for a demo whose files are below `state`."""
    return Settings.model_validate(_values(state, redis_url, logins, ports))


def _values(state: Path, redis_url: str, logins: Logins, ports: DemoPorts) -> dict[str, Any]:
    return {
        "hostname": "localhost",
        "database": {"url": logins.front} | {f"{part}_url": dsn for part, dsn in asdict(logins).items()},
        # A laptop that is busy with other things must not make logins go on without a lease.
        "redis": {"url": redis_url, "deadline": 5.0},
        "object_store": {"url": (state / "blobs").as_uri()},
        "listeners": [
            _listener("pop3", "pop3", ports.pop3, "starttls"),
            _listener("pop3s", "pop3", ports.pop3s, "implicit"),
            _listener("lmtp", "lmtp", ports.lmtp, "none"),
        ],
        "tls": {"directory": str(state / "certificates")},
        "http": {"host": HOST, "port": ports.http},
        "drain": {"grace": 5.0},
        "events": {"file": str(state / "events.jsonl")},
    }


def _listener(name: str, protocol: str, port: int, tls: str) -> dict[str, Any]:
    return {"name": name, "protocol": protocol, "host": HOST, "port": port, "tls": tls}


def save_settings(state: Path, settings: Settings, poplar: Running) -> Path:
    """Write the settings, with the ports that were picked, so that other commands can use them; the file."""
    values = _values(state, settings.redis.url.get_secret_value(), _logins(settings), _picked(poplar))
    path = state / "poplar.yaml"
    write_whole(path, yaml.safe_dump(values, sort_keys=False))
    return path


def _logins(settings: Settings) -> Logins:
    database = settings.database
    return Logins(
        front=database.url_for("front"),
        lmtp=database.url_for("lmtp"),
        sweep=database.url_for("sweep"),
        api=database.url_for("api"),
        owner=database.url_for("owner"),
    )


def _picked(poplar: Running) -> DemoPorts:
    ports: Mapping[str, int] = {name: port for name, (_, port) in poplar.ports.items()}
    http = urlsplit(poplar.http_url).port or 0
    return DemoPorts(pop3=ports["pop3"], pop3s=ports["pop3s"], lmtp=ports["lmtp"], http=http)
