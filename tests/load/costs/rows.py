"""What a row takes on disk, indexes included, and what vacuum makes of removed ones, measured on a few million of them.

    python -m tests.load.costs.rows --messages 2000000

Owns rows that look like real ones in their lengths. Asserts nothing.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeAlias

import asyncpg

from service.embedded.postgres import running_postgres
from service.stores.postgres.migrate import migrate

EACH = 50
"""Messages of a maildrop, and maildrops of a tenant."""

TENANTS = (
    "INSERT INTO tenants (tenant_id, name) SELECT md5('t' || n)::uuid, 't' || n FROM generate_series(1, $1::int) n"
)
DOMAINS = """
INSERT INTO domains (tenant_id, name)
SELECT md5('t' || n)::uuid, 'domain-' || n || '.example' FROM generate_series(1, $1::int) n
"""
MAILDROPS = """
INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, messages, octets, next_sequence)
SELECT md5('t' || n)::uuid, gen_random_uuid(), 'domain-' || n || '.example', 'firstname.lastname' || i, 50, 2500000, 51
FROM generate_series(1, $1::int) n, generate_series(1, 50) i
"""
CREDENTIALS = """
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label)
SELECT tenant_id, maildrop_id, gen_random_uuid(), '$argon2id$v=19$m=19456,t=2,p=1$' || repeat('x', 22) || '$'
       || repeat('y', 43), 'main'
FROM maildrops
"""
FENCES = """
INSERT INTO fences (tenant_id, maildrop_id, fence) SELECT tenant_id, maildrop_id, gen_random_uuid() FROM maildrops
"""
# In the order in which mail arrives: one for each maildrop, and again.
MESSAGES = """
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted, sha256,
                      blob_key, trace, beginnings)
SELECT tenant_id, maildrop_id, $1::bigint, 75000, 900, now() - make_interval(hours => 50 - $1::int), gen_random_uuid(),
       false, sha256(gen_random_uuid()::text::bytea),
       replace(tenant_id::text, '-', '') || '/2026/11/26/' || replace(gen_random_uuid()::text, '-', ''),
       convert_to('Delivered-To: ' || local || '@' || domain || E'\\r\\n', 'UTF8'),
       sha256(gen_random_uuid()::text::bytea)
FROM maildrops
"""
AUDIT = """
INSERT INTO audit (tenant_id, actor, action, target, detail)
SELECT tenant_id, 'client:' || local || '@' || domain, 'messages.remove', local || '@' || domain, jsonb_build_object(
    'messages', 4, 'octets', 300000, 'session', '0123456789abcdef', 'client', '203.0.113.77', 'mechanism', 'PASS',
    'credential', 'main')
FROM maildrops, generate_series(1, 10)
"""
SIZES = """
SELECT coalesce(t.relname, c.relname) AS table, c.relname AS name, pg_relation_size(c.oid) AS octets,
       coalesce(t.reltuples, c.reltuples) AS rows
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i') ORDER BY 1, c.relkind DESC, 2
"""
REMOVE = "UPDATE messages SET removed_at = now(), removed_in = 1, removed_by = gen_random_uuid() WHERE sequence <= 10"
FORGET = "DELETE FROM messages WHERE sequence <= 10"
USE = "UPDATE credentials SET last_used = now() - interval '1 hour'"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def sizes(connection: Connection, when: str) -> dict[str, float]:
    """Octets of a row in each table, its indexes included; each of them is printed."""
    found: dict[str, float] = {}
    for row in await connection.fetch(SIZES):
        each = row["octets"] / max(1, row["rows"])
        found[row["table"]] = found.get(row["table"], 0) + each
        if row["rows"] > 1000:
            sys.stdout.write(f"{when:10}{row['table']:12}{row['name']:28}{row['octets']:>14}{each:9.1f}\n")
    sys.stdout.flush()
    return found


async def timed(what: str, work: Awaitable[object]) -> None:
    began = time.monotonic()
    await work
    sys.stdout.write(f"{what}: {time.monotonic() - began:.1f} s\n")
    sys.stdout.flush()


async def wal(connection: Connection, statement: str) -> float:
    before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
    await connection.execute(statement, timeout=3600)
    return float(await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)", before))


async def measure(messages: int) -> None:
    tenants = max(1, messages // EACH // EACH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Where root runs this, Postgres is another user.
        await asyncio.to_thread(folder.chmod, 0o755)
        with running_postgres(folder / "postgres", durable=False) as server:
            await migrate(server.dsn())
            connection: Connection = await asyncpg.connect(server.dsn(), command_timeout=3600)
            for statement in (TENANTS, DOMAINS, MAILDROPS):
                await connection.execute(statement, tenants)
            for statement in (CREDENTIALS, FENCES):
                await connection.execute(statement)
            await timed(f"{tenants * EACH * EACH} messages", _fill(connection))
            await connection.execute(AUDIT)
            await _look(connection, tenants * EACH)
            await connection.close()


async def _fill(connection: Connection) -> None:
    for sequence in range(1, EACH + 1):
        await connection.execute(MESSAGES, sequence)


async def _look(connection: Connection, maildrops: int) -> None:
    await connection.execute("VACUUM ANALYZE")
    fresh = await sizes(connection, "fresh")
    use = await wal(connection, USE) / maildrops
    await timed("a fifth removed", connection.execute(REMOVE))
    await timed("vacuum", connection.execute("VACUUM messages"))
    removed = await sizes(connection, "removed")
    await timed("deleted", connection.execute(FORGET))
    await timed("vacuum", connection.execute("VACUUM ANALYZE messages"))
    await sizes(connection, "deleted")
    each = {
        "message_octets": removed["messages"],
        "audit_octets": fresh["audit"],
        "maildrop_octets": fresh["maildrops"] + fresh["credentials"] + fresh["fences"],
        "tenant_octets": fresh["tenants"] + fresh["domains"],
        "wal_use": use,
    }
    sys.stdout.write(json.dumps({"what": "rows"} | each) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="What rows take on disk.")
    parser.add_argument("--messages", type=int, default=2_000_000)
    asyncio.run(measure(parser.parse_args().messages))


if __name__ == "__main__":
    main()
