"""What the systems behind Poplar were asked, and what each process used: read from their own books.

Owns Postgres' log and statistics, Valkey's commandstats, the S3 server's log, and /proc. Refuses to know what was done.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import asyncpg
import redis

from tests.load.costs.rig import Rig

TICK = os.sysconf("SC_CLK_TCK")
_STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)")
# Only the harness and the server's own work ask these.
_NOT_OURS = ("pg_stat", "pg_current_wal", "ALTER SYSTEM", "pg_reload_conf")


@dataclass(frozen=True)
class Books:
    """One reading, or the difference of two. CPU in seconds, memory in octets."""

    statements: Mapping[str, float]
    redis: Mapping[str, float]
    s3: Mapping[str, float]
    cpu: Mapping[str, float]
    database: Mapping[str, float]

    def since(self, before: "Books") -> "Books":
        """What came in between."""
        return Books(*(_less(getattr(self, each.name), getattr(before, each.name)) for each in fields(self)))


def _less(after: Mapping[str, float], before: Mapping[str, float]) -> Mapping[str, float]:
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


async def read(rig: Rig, parts: dict[str, int]) -> Books:
    """All books now; `parts` names further processes by id."""
    used = {"postgres": cpu(rig.postgres.pid), "s3": cpu(rig.s3.process.pid)}
    used |= {"valkey": sum(cpu(pid) for pid in rig.redis.pids)} | {name: cpu(pid) for name, pid in parts.items()}
    commands: Counter[str] = Counter()
    for url in rig.redis.nodes:
        with redis.Redis.from_url(url) as client:
            commands.update(_commands(client))
    statements = _statements(rig.postgres.state / "postgres.log")
    return Books(statements, commands, _requests(rig.s3_log), used, await _database(rig))


def _commands(client: redis.Redis) -> Counter[str]:
    stats, memory = client.info("commandstats"), client.info("memory")
    calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
    return Counter(calls | {"octets": memory["used_memory"]})


async def _database(rig: Rig) -> Mapping[str, float]:
    connection = await asyncpg.connect(rig.postgres.dsn())
    try:
        # Backends tell their numbers only now and then.
        await connection.execute("SELECT pg_stat_force_next_flush()")
        row = await connection.fetchrow("""
            SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal_octets,
                   (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal') AS wal_fsyncs,
                   (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits
        """)
    finally:
        await connection.close()
    return {name: float(value or 0) for name, value in (row or {}).items()}


def _statements(log: Path) -> Counter[str]:
    """Statements by the first words that tell one from another."""
    found: Counter[str] = Counter()
    for chunk in re.split(r"\n(?=\d{4}-\d\d-\d\d )", log.read_text("utf-8", "replace")):
        match = _STATEMENT.search(chunk)
        if match and not any(word in chunk for word in _NOT_OURS):
            text = " ".join((match[1] + chunk[match.end() :]).split("DETAIL:")[0].split())
            text = re.sub(r" \d{4}-\d\d-\d\d [\d:.]+ UTC.*", "", text)
            found[text[:120]] += 1
    return found


def _requests(log: Path) -> Counter[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    words = (word.removeprefix("s3_") for line in lines for word in line.split() if word.startswith("s3_"))
    return Counter(words)


def cpu(pid: int) -> float:
    """Seconds that a process and all below it used, those that ended included."""
    total = 0.0
    for each in [pid, *_below(pid)]:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += sum(map(int, fields[11:13])) / TICK
        if each == pid:
            total += sum(map(int, fields[13:15])) / TICK
    return total


def _below(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *_below(int(child))]
    return found


def pss(pid: int) -> int:
    """Proportional memory of one process, in octets."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
