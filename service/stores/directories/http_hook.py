"""A provider's users behind an HTTP hook, which judges passwords itself.

Owns the form of question and answer, and what is a clear one: status 200, a few KiB of JSON, the question's own id, and
`allow` or `deny`. Everything else, a 403 or a redirect too, means that the hook is unavailable, never that a password
is wrong (G14). Keeps no cookie, follows no redirect, heeds no proxy of the environment. RFC 9110 §9.3.3.
"""

import json
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.mail.outside.ports import AwayError
from service.model.outside import Allowed, Answer, Question
from service.model.policy_table import check_policy
from service.model.refusal import Reason, Refusal
from service.stores.directories.signing import signed

MOST_OCTETS = 16 * 1024
IDLE_SECONDS = 4.0
"""For how long a connection is kept; common servers close an idle one after five."""
_ENDED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
SESSION_POLICY = frozenset(
    {"login_delay", "login_burst", "pop3", "mechanisms", "networks", "octets_per_day", "dele", "order"}
)
"""What of a policy a session alone heeds, so that a hook may set it; the rest binds deliveries and sweeps, too."""


@dataclass(frozen=True, slots=True)
class HookOptions:
    """How a hook is reached."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    connections: int = 8
    connect_seconds: float = 5.0
    tls: ssl.SSLContext | bool = True


class _Said(BaseModel):
    """What a hook answers; a word it doesn't know is no clear answer."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    id: str
    answer: Literal["allow", "deny"]
    label: Annotated[str, Field(max_length=64)] = ""
    policy: dict[str, bool | int | str | list[str] | None] = {}


class HttpHook:
    """Implements `OutsideDirectory`."""

    judges = True

    def __init__(self, name: str, options: HookOptions) -> None:
        self._name = name
        self._options = options
        # A cookie would tell one user's questions from another's, or mix them up.
        nobodys = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(
            verify=options.tls,
            cookies=nobodys,
            follow_redirects=False,
            trust_env=False,
            # The guard in front gives up as a whole; this only frees a connection that it left.
            timeout=httpx.Timeout(None, connect=options.connect_seconds),
            limits=httpx.Limits(
                max_connections=options.connections,
                max_keepalive_connections=options.connections,
                keepalive_expiry=IDLE_SECONDS,
            ),
        )

    async def ask(self, question: Question) -> Answer:
        """Whether the hook allows it. Raises Refusal(UNAVAILABLE) for no clear answer, AwayError for none at all."""
        asked = secrets.token_hex(16)
        body = json.dumps(_form(asked, question)).encode("ascii")
        try:
            return await self._posted(body, asked)
        except _ENDED:
            # The hook may have closed a kept connection just then, which says nothing about the hook.
            return await self._asked_again(body, asked)
        except httpx.HTTPError as error:
            raise AwayError(type(error).__name__) from error

    async def aclose(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def _asked_again(self, body: bytes, asked: str) -> Answer:
        try:
            return await self._posted(body, asked)
        except httpx.HTTPError as error:
            raise AwayError(type(error).__name__) from error

    async def _posted(self, body: bytes, asked: str) -> Answer:
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "Poplar",
            **signed(self._options.secret, body, time.time()),
        }
        async with self._client.stream("POST", self._options.url, content=body, headers=headers) as response:
            try:
                return self._answer(await self._text(response), asked)
            except Refusal:
                # What is on this connection may belong to another question: no later one gets it.
                await response.extensions["network_stream"].aclose()
                raise

    async def _text(self, response: httpx.Response) -> bytes:
        if response.status_code != 200 or "content-encoding" in response.headers:
            raise self._unclear(f"status {response.status_code}")
        text = b""
        async for piece in response.aiter_raw():
            text += piece
            if len(text) > MOST_OCTETS:
                raise self._unclear(f"more than {MOST_OCTETS} octets")
        return text

    def _answer(self, text: bytes, asked: str) -> Answer:
        try:
            said = _Said.model_validate_json(text)
        except ValidationError as error:
            raise self._unclear(f"no answer in its form ({error.error_count()} mistakes)") from error
        # An answer that was left over on the connection is another question's.
        if not secrets.compare_digest(said.id.encode(), asked.encode()):
            raise self._unclear("the answer to another question")
        if said.answer == "deny":
            return None
        if unknown := said.policy.keys() - SESSION_POLICY:
            raise self._unclear(f"sets a policy that no session heeds: {', '.join(sorted(unknown))}")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in said.policy.items()}
        try:
            check_policy(values)
        except ValueError as error:
            raise self._unclear(str(error)) from error
        return Allowed(said.label, values)

    def _unclear(self, why: str) -> Refusal:
        return Refusal(Reason.UNAVAILABLE, f"directory {self._name}: no clear answer: {why}")


def _form(asked: str, question: Question) -> Mapping[str, Any]:
    form = {
        "id": asked,
        "event": "recipient" if question.password is None else "login",
        "address": question.address.base,
        "local": question.address.local,
        "domain": question.address.domain,
        "tenant": question.tenant,
    }
    if question.password is not None:
        form |= {
            "password": question.password,
            "client": question.client,
            "mechanism": question.mechanism,
            "listener": question.listener,
            "session": question.session_id,
        }
    return form
