"""Events sent to a receiver over HTTPS, signed, in batches.

Owns the request: a JSON object with the events in order, and a signature over moment and body by a shared secret, so
that the receiver knows who sent it and refuses what is replayed. Which answers are worth a repetition is decided here;
when, is not. Follows no redirect: the proof of the secret is for one receiver.
RFC 9110 §15 (status codes), RFC 2104 §2 (HMAC).
"""

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.model.event import SCHEMA, Event, plain
from service.model.refusal import Reason, Refusal

SIGNATURE = "Poplar-Signature"
WORTH_REPEATING = frozenset({408, 425, 429})
"""Answers below 500 that another try may better."""


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where to and how; seconds for one request."""

    url: str
    secret: str = field(repr=False)
    seconds: float = 10.0
    ca_file: Path | None = None
    """Authorities to trust instead of the usual ones."""


class EventWebhook:
    """Implements `mail.events.Sink`. Raises OSError for a `ca_file` that can't be read."""

    def __init__(self, options: WebhookOptions, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self._clock = clock
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        trusted = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else True
        self._client = httpx.AsyncClient(verify=trusted, timeout=options.seconds, limits=limits, trust_env=False)

    async def take(self, batch: Sequence[Event]) -> None:
        """POST the events. Raises Refusal: UNAVAILABLE, or INVALID where the receiver wants none of it."""
        body = json.dumps({"schema": SCHEMA, "events": [plain(event) for event in batch]}).encode()
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: signature(self._options.secret, int(self._clock()), body),
        }
        try:
            async with (
                asyncio.timeout(self._options.seconds),
                self._client.stream("POST", self._options.url, content=body, headers=headers) as response,
            ):
                # What it says beside its status is of no use here, however long it is.
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Refusal(Reason.UNAVAILABLE, f"the webhook can't be reached: {type(error).__name__}") from error
        if not 200 <= status < 300:
            again = status >= 500 or status in WORTH_REPEATING
            raise Refusal(Reason.UNAVAILABLE if again else Reason.INVALID, f"the webhook answered {status}")

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def signature(secret: str, moment: int, body: bytes) -> str:
    """The header's value: when it was sent, and HMAC-SHA-256 of `moment.body` in hexadecimal (RFC 2104 §2)."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
