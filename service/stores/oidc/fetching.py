"""One request to an issuer: over TLS, within a deadline, bounded in octets, and to nowhere but where it was sent.

Owns what may be asked and how long an answer may be. Redirects aren't followed, nothing is unpacked, and neither
proxies nor logins are taken from the environment. Refuses to know what an answer means.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from service.model.issuer import is_plain_on_loopback
from service.model.refusal import Reason, Refusal
from service.stores.observing import Calls, Observer, Unobserved

VENDOR = "oidc"
MOST_OCTETS = 256 * 1024
CONNECTIONS = 64
# RFC 6749 §2.3.1 and RFC 7662 §2.1: requests and answers are forms and JSON. An answer that comes compressed could be
# far larger than what was read of it.
_HEADERS: Mapping[str, str] = MappingProxyType(
    {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Poplar"}
)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How issuers are reached; seconds."""

    deadline: float = 5.0
    """For one request, from looking up the name to the last octet of the answer."""
    ca_file: str = ""
    """Authorities beside those of the system; empty for none."""
    plain_loopback: bool = False
    """Whether http to this machine is allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `content` is None where it is no JSON object."""

    status: int
    content: Mapping[str, Any] | None


class Fetcher:
    """Asks issuers. Close it after use."""

    def __init__(self, options: FetchOptions, observer: Observer | None = None) -> None:
        """Raises OSError when the file of authorities can't be read."""
        self._options = options
        self._calls = Calls(VENDOR, observer or Unobserved(), _kind_of)
        trusted = ssl.create_default_context()
        if options.ca_file:
            trusted.load_verify_locations(options.ca_file)
        self._client = httpx.AsyncClient(
            verify=trusted,
            trust_env=False,
            follow_redirects=False,
            timeout=options.deadline,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 4),
            headers=dict(_HEADERS),
        )

    async def close(self) -> None:
        """End every connection."""
        await self._client.aclose()

    async def get(self, url: str) -> Answer:
        """What stands at `url`. Raises Refusal(UNAVAILABLE)."""
        return await self._ask("GET", url)

    async def post(self, url: str, form: Mapping[str, str], login: tuple[str, str]) -> Answer:
        """What is answered to a form, sent under a client's id and secret. Raises Refusal(UNAVAILABLE)."""
        return await self._ask("POST", url, dict(form), httpx.BasicAuth(*login))

    def _check(self, url: str) -> None:
        # RFC 8414 §3 and RFC 7662 §4 demand TLS. The rows were checked when they were written; where an issuer's own
        # words lead is checked here alone.
        if not url.startswith("https://") and not (self._options.plain_loopback and is_plain_on_loopback(url)):
            raise Refusal(Reason.UNAVAILABLE, "oidc: an address without TLS")

    async def _ask(
        self, method: str, url: str, form: dict[str, str] | None = None, login: httpx.Auth | None = None
    ) -> Answer:
        self._check(url)
        with self._calls.observed(method):
            # In here, as what an issuer tells may be no address at all: then it is at fault.
            request = self._client.build_request(method, url, data=form)
            async with asyncio.timeout(self._options.deadline):
                response = await self._client.send(request, auth=login, stream=True)
                try:
                    return Answer(response.status_code, _object(await _whole(response)))
                finally:
                    await response.aclose()
        raise AssertionError("an error was let through")


async def _whole(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MOST_OCTETS:
            raise httpx.DecodingError("too long an answer")
    return body


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout"
    return "connection" if isinstance(error, httpx.NetworkError | OSError) else "protocol"
