"""deploy/capacity/measured.toml, from what the measures printed.

    python -m tests.load.costs cpu > /tmp/cpu; python -m tests.load.costs idle > /tmp/idle
    python -m tests.load.costs.rows > /tmp/rows
    python -m tests.load.costs.figures /tmp/cpu /tmp/idle /tmp/rows > deploy/capacity/measured.toml

Owns which figure comes from which measure. Refuses to round beyond what the clocks tell.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.load.costs.__main__ import KEPT, LARGE, SMALL

Said = dict[tuple[str, str], dict[str, float]]
LETTERS, LARGE_ONES = KEPT, 2


def said(texts: list[str]) -> Said:
    """The lines of JSON among what was printed, by what was done and by kind."""
    found: Said = {}
    for line in (line for text in texts for line in text.splitlines() if line.startswith("{")):
        each: dict[str, Any] = json.loads(line)
        found[each["what"], each.get("kind", "")] = each.get("each", each)
    return found


def figures(s: Said) -> dict[str, dict[str, float]]:
    """The sections of the file. CPU in seconds, memory and disk in octets."""

    def cpu(what: str, part: str = "front") -> float:
        return s[what, "cpu"].get(part, 0.0)

    small, large = SMALL / 1e6, LARGE / 1e6
    megabyte = (cpu("fetch_large") - cpu("poll_uidl")) / (LARGE_ONES * large)
    delivered = (cpu("deliver_large", "lmtp") - cpu("deliver", "lmtp")) / (large - small)
    wal = {what: s[what, "database"]["wal_octets"] for what in ("poll_uidl", "deliver", "drain")}
    calls = s["poll_uidl", "redis"]["evalsha"]
    rows, resting = s["rows", ""], s["after_terminated", ""]["valkey_octets_each"]
    return {
        "cpu": {
            "poll": cpu("poll_stat"),
            "listing": max(0.0, cpu("poll_uidl") - cpu("poll_stat")),
            "tls": max(0.0, cpu("poll_tls") - cpu("poll_uidl")),
            "argon2id": cpu("poll_hashed", "bare") - cpu("poll_uidl"),
            "message": (cpu("fetch") - cpu("poll_uidl")) / LETTERS - small * megabyte,
            "megabyte": megabyte,
            "delivery": cpu("deliver", "lmtp") - small * delivered,
            "delivery_megabyte": delivered,
            "postgres_poll": cpu("poll_stat", "postgres"),
            "postgres_listing": max(0.0, cpu("poll_uidl", "postgres") - cpu("poll_stat", "postgres")),
            "postgres_delivery": cpu("deliver", "postgres"),
            "postgres_removal": max(0.0, cpu("drain", "postgres") - cpu("poll_uidl", "postgres")) / LETTERS,
        },
        "memory": {
            "process": s["idle_terminated", ""]["process"],
            "session": s["idle_terminated", ""]["pss_each"],
            "session_tls": s["idle_implicit", ""]["pss_each"],
        },
        "postgres": {
            "connections_each": 10,
            "wal_poll": wal["poll_uidl"],
            "wal_use": rows["wal_use"],
            "wal_delivery": wal["deliver"],
            "wal_removal": (wal["drain"] - wal["poll_uidl"]) / LETTERS,
            **{name: rows[name] for name in ("message_octets", "audit_octets", "maildrop_octets", "tenant_octets")},
        },
        "redis": {
            "calls_poll": calls,
            "cpu_call": cpu("poll_uidl", "valkey") / calls,
            "octets_session": s["idle_terminated", ""]["valkey_octets_each"] - resting,
            "octets_maildrop": resting,
        },
    }  # fmt: skip


def main() -> None:
    sections = figures(said([Path(each).read_text("utf-8") for each in sys.argv[1:]]))
    python, load = platform.python_version(), os.getloadavg()[2]
    lines = [
        "# What was measured, by `python -m tests.load.costs` and its neighbours (figures.py there says how).",
        "# CPU in seconds of one core, memory and disk in octets. Made by that program: don't edit it.",
        f'measured = "{datetime.now(UTC):%Y-%m-%d}"',
        f'machine = "{os.cpu_count()} cores, Python {python}, a load of {load:.0f} from other work too"',
    ]
    for section, each in sections.items():
        lines += ["", f"[{section}]", *(f"{name} = {value:.4g}" for name, value in each.items())]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
