"""A maildrop of as many messages as asked for, put into the real schema by Postgres itself.

Owns the rows, and the texts of the few messages that are retrieved. Each message has a blob key of its own, as in life:
a blob is shared by the recipients of one delivery alone. Refuses to know what is measured.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import yaml

from tests.backends.demo import Account, RunningDemo

HEAD = b"From: Ada <ada@example.org>\r\nSubject: one of a million\r\n\r\n"
TEXT = HEAD + b"The quick brown fox jumps over the lazy dog.\r\n" * 40
FOLDER = "2026/01/01"
PATIENCE = 1800

MAILDROP = """
SELECT m.tenant_id, m.maildrop_id FROM maildrops m JOIN domains d ON d.tenant_id = m.tenant_id AND d.name = m.domain
WHERE m.local || '@' || m.domain = $1 AND m.status = 'active'
"""
MESSAGES = """
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted, sha256,
                      blob_key, imported_unique_id)
SELECT $1, $2, n, $4, $5, now() - interval '1 hour', gen_random_uuid(), false, $6, $7 || n,
       CASE WHEN $8 THEN 'kept-by-the-server-it-came-from-' || n END
FROM generate_series(1, $3::bigint) AS n
"""
COUNTERS = """
UPDATE maildrops SET messages = $3, octets = $3 * $4::bigint, next_sequence = $3 + 1
WHERE tenant_id = $1 AND maildrop_id = $2
"""
REMOVED = """
WITH gone AS (
    UPDATE messages SET removed_at = now() - interval '1 day', removed_in = m.removals + 1
    FROM maildrops m
    WHERE messages.tenant_id = $1 AND messages.maildrop_id = $2 AND messages.removed_at IS NULL
      AND m.tenant_id = $1 AND m.maildrop_id = $2
)
UPDATE maildrops SET messages = 0, octets = 0, removals = removals + 1 WHERE tenant_id = $1 AND maildrop_id = $2
"""
LEFT = """
SELECT count(*) FILTER (WHERE removed_at IS NULL), count(*) FILTER (WHERE removed_at IS NOT NULL) FROM messages
WHERE tenant_id = $1 AND maildrop_id = $2
"""
AGED = """
UPDATE messages SET removed_at = removed_at - make_interval(days => $3)
WHERE tenant_id = $1 AND maildrop_id = $2 AND removed_at IS NOT NULL
"""


def site_settings(demo: RunningDemo) -> dict[str, Any]:
    """The settings of the demo's own programs."""
    return dict(yaml.safe_load((demo.state / "state" / "poplar.yaml").read_text("utf-8")))


def owner_dsn(demo: RunningDemo) -> str:
    """The URL with which everything may be written."""
    database = site_settings(demo)["database"]
    return str(database.get("owner_url") or database["url"])


def fill(demo: RunningDemo, account: Account, messages: int, *, imported: bool = False) -> None:
    """Have `account` list so many messages; `imported` ones keep a UIDL of another server."""
    asyncio.run(_fill(demo, account, messages, imported))


def age_removed(demo: RunningDemo, account: Account, days: int) -> None:
    """Have what was removed be removed so many days earlier."""
    asyncio.run(_execute(owner_dsn(demo), account, AGED, days))


def remove_all(demo: RunningDemo, account: Account) -> None:
    """Have all messages of `account` be removed a day ago."""
    asyncio.run(_execute(owner_dsn(demo), account, REMOVED))


def left_of(demo: RunningDemo, account: Account) -> tuple[int, int]:
    """How many rows there are of messages that are listed, and of removed ones."""
    found = asyncio.run(_execute(owner_dsn(demo), account, LEFT))
    return found[0][0], found[0][1]


async def _fill(demo: RunningDemo, account: Account, messages: int, imported: bool) -> None:
    connection = await asyncpg.connect(owner_dsn(demo))
    try:
        key = await connection.fetchrow(MAILDROP, account.address)
        assert key is not None
        digest, prefix = hashlib.sha256(TEXT).digest(), f"{key[0].hex}/{FOLDER}/{key[1].hex}-"
        rows = (len(TEXT), len(HEAD), digest, prefix, imported)
        async with connection.transaction():
            await connection.execute(MESSAGES, *key, messages, *rows, timeout=PATIENCE)
            await connection.execute(COUNTERS, *key, messages, len(TEXT))
        await connection.execute("VACUUM ANALYZE messages", timeout=PATIENCE)
    finally:
        await connection.close()
    for number in {1, 2, messages // 2, messages}:
        path = _blobs(demo) / f"{prefix}{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TEXT)


async def _execute(dsn: str, account: Account, statement: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        key = await connection.fetchrow(MAILDROP, account.address)
        assert key is not None
        return list(await connection.fetch(statement, *key, *values, timeout=PATIENCE))
    finally:
        await connection.close()


def _blobs(demo: RunningDemo) -> Path:
    return Path(unquote(urlsplit(str(site_settings(demo)["object_store"]["url"])).path))
