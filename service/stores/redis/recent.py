"""The register of recent logins and refusals in Redis: one hash an account, a field for each sort of attempt.

Owns the keys, their bounds and the JSON of a field. Refuses to keep a maildrop's name or an unknown one: keys have ids
and digests alone. All of a batch travels in one pipeline; each command concerns one key, so that a cluster runs it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from pydantic_core import to_json

from service.mail.ports import Holder
from service.mail.recent import IN_BUCKET, Attempt, UnknownName, Whose, identity_of, sort_of, whose
from service.model.account import MaildropKey
from service.model.event import Event, Kind
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.batch import Limits
from service.stores.redis.errors import kind_of
from service.stores.redis.keys import parse_entry, recent_key, session_key, unknown_key
from service.stores.redis.scripts import REMEMBER, Command
from service.stores.redis.servers import connect
from service.stores.redis.urls import parse_target

_KINDS = {kind.value[0]: kind for kind in (Kind.LOGIN, Kind.REFUSAL)}
_FACTS = ("client", "mechanism", "listener", "tls", "credential", "reason", "detail", "session")
_facts = attrgetter(*_FACTS)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many sorts of logins, and as many of refusals, are kept of an account, and for how long."""

    sorts: int = 15
    lasting: timedelta = timedelta(days=14)


class RedisRecentLogins:
    """Implements `mail.recent.RecentLogins`."""

    def __init__(
        self, url: str, keeping: Keeping | None = None, limits: Limits | None = None, observer: Observer | None = None
    ) -> None:
        self._servers = connect(parse_target(url), limits or Limits())
        self._keeping = keeping or Keeping()
        self._sorts = str(self._keeping.sorts)
        self._lasting = str(round(self._keeping.lasting.total_seconds() * 1000))
        self._calls = Calls("redis", observer or Unobserved(), kind_of)

    async def take(self, batch: Sequence[Event]) -> None:
        """Keep the logins and refusals among `batch`, in one pipeline. Raises Refusal(UNAVAILABLE)."""
        kept = [(event, concerned) for event in batch if (concerned := whose(event)) is not None]
        if kept:
            with self._calls.observed("remember"):
                await self._servers.together([self._remembering(event, concerned) for event, concerned in kept])

    async def of(self, whose: Whose) -> Sequence[Attempt]:
        """What is kept, the last one first. Raises Refusal(UNAVAILABLE)."""
        prefix = whose.digest if isinstance(whose, UnknownName) else ""
        with self._calls.observed("recent"):
            answer = await self._servers.submit(("HGETALL", _key(whose)))
        oldest = datetime.now(UTC) - self._keeping.lasting
        found = (parse(prefix, sort, text) for sort, text in _pairs(answer))
        known = [attempt for attempt in found if attempt is not None and attempt.last >= oldest]
        return sorted(known, key=lambda attempt: attempt.last, reverse=True)

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds the maildrop now. Raises Refusal(UNAVAILABLE)."""
        with self._calls.observed("holder"):
            return parse_entry(await self._servers.submit(("GET", session_key(key))))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._servers.aclose()

    def _remembering(self, event: Event, concerned: Whose) -> Command:
        if isinstance(concerned, UnknownName):
            # The bound of a bucket is all names' together: no prefix tells them apart.
            key, sort, kind_octets, sorts = _key(concerned), concerned.digest + sort_of(event), "0", str(IN_BUCKET)
        else:
            key, sort, kind_octets, sorts = recent_key(concerned), sort_of(event), "1", self._sorts
        milliseconds = round(event.moment.timestamp() * 1000)
        facts = to_json(_facts(event))
        return REMEMBER.on((key,), sort, kind_octets, milliseconds, identity_of(event), facts, sorts, self._lasting)


def _key(whose: Whose) -> str:
    return unknown_key(whose.bucket) if isinstance(whose, UnknownName) else recent_key(whose)


def _pairs(answer: object) -> Sequence[tuple[bytes, bytes]]:
    """The fields of a hash, however the protocol's version gives them."""
    if isinstance(answer, dict):
        return list(answer.items())
    flat = answer if isinstance(answer, list) else []
    return list(zip(flat[::2], flat[1::2], strict=True))


def parse(prefix: str, sort: bytes, text: bytes) -> Attempt | None:
    """The attempt in a field, or None when it is of another name, or another release wrote something else there."""
    name = sort.decode("ascii", "replace")
    if not name.startswith(prefix):
        return None
    try:
        first, last, count, _, facts = text.decode().split("|", 4)
        told = dict(zip(_FACTS, map(str, json.loads(facts)), strict=True))
        return Attempt(_KINDS[name[len(prefix)]], _moment(first), _moment(last), int(count), **told)
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
