"""The names of a maildrop's keys and the text of its session's entry.

Owns the hash tag that keeps a maildrop's keys in one slot of a cluster, and the JSON that staff's tools read.
Refuses to know commands. No secret is ever in a key or an entry.
"""

import json
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from pydantic_core import to_json

from service.mail.ports import Holder
from service.model.account import MaildropKey

REMEMBERED = 1024
"""Maildrops whose keys are remembered: from a login to the end of a short session."""
SESSIONS = "session:{*"
"""Matches the entries of all sessions."""


def lock_key(key: MaildropKey) -> str:
    """Where the token of the holder is."""
    return f"lock:{_tag(key)}"


def session_key(key: MaildropKey) -> str:
    """Where staff see who holds the maildrop."""
    return f"session:{_tag(key)}"


def parse_session_key(name: str) -> MaildropKey | None:
    """The maildrop whose session's entry is there, or None when it is no such name."""
    try:
        tenant_id, maildrop_id = name.removeprefix("session:").strip("{}").split(":")
        return MaildropKey(UUID(tenant_id), UUID(maildrop_id))
    except ValueError:
        return None


@lru_cache(REMEMBERED)
def lease_keys(key: MaildropKey) -> tuple[str, str]:
    """Both."""
    tag = _tag(key)
    return f"lock:{tag}", f"session:{tag}"


def delay_key(key: MaildropKey) -> str:
    """The bucket of the maildrop's logins, which lives until it is empty."""
    return f"logins:{_tag(key)}"


def octets_key(key: MaildropKey) -> str:
    """What the maildrop had in its day."""
    return f"octets:{_tag(key)}"


def shown_key(key: MaildropKey) -> str:
    """Which session the maildrop was shown to last."""
    return f"shown:{_tag(key)}"


def circle_key(name: str) -> str:
    """The sessions that are counted together."""
    return f"sessions:{{{name}}}"


def recent_key(key: MaildropKey) -> str:
    """Where recent logins and refusals of the maildrop are counted."""
    return f"recent:{_tag(key)}"


def unknown_key(bucket: int) -> str:
    """Where refusals of names that nobody has are counted."""
    return f"recent:{{unknown:{bucket}}}"


@lru_cache(REMEMBERED)
def _tag(key: MaildropKey) -> str:
    # `!s` spares the look for a format, of which UUIDs have none of their own.
    return f"{{{key.tenant_id!s}:{key.maildrop_id!s}}}"


def entry(holder: Holder) -> bytes:
    """The JSON text of `holder`, by the names of what it has."""
    return to_json(holder)


def parse_entry(text: object) -> Holder | None:
    """The holder in `text`, or None when another release or hand wrote something else there."""
    try:
        fields = json.loads(text) if isinstance(text, (str, bytes)) else None
        return Holder(**(fields | {"since": datetime.fromisoformat(fields["since"])})) if fields else None
    except (ValueError, TypeError, KeyError):
        return None
