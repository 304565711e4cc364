"""Runs Poplar in this event loop: listeners, ops HTTP, renewal of leases, watch of certificates.

Owns the order of start and end. Refuses to know signals (`app/signals.py`) and commands (`cli/`).
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from service.settings import Settings

Role = Literal["pop3", "lmtp"]


@dataclass(frozen=True, slots=True)
class Running:
    """What is being served: each listener's bound address by its name, and the ops HTTP's base URL."""

    ports: Mapping[str, tuple[str, int]]
    http_url: str


@asynccontextmanager
async def running(settings: Settings, roles: Collection[Role]) -> AsyncIterator[Running]:
    """Serve the settings' listeners of these protocols until the block ends; then drain within the grace.

    Every listener answers once this yields. Raises OSError when a port is taken, Refusal(UNAVAILABLE) never:
    other systems may come later.
    """
    raise NotImplementedError
    yield Running({}, "")
