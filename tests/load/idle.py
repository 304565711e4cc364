"""What an idle session costs in memory: thousands that have logged in and say nothing.

Owns that measure: what the server's processes hold with them, less what they held before, by session.
"""

from typing import Any

from tests.load import program
from tests.load.mail import Kind
from tests.load.target import Target


def idle_kib(target: Target, kind: Kind, sessions: int, port: str) -> dict[str, Any]:
    """KiB for each of `sessions` sessions, by component, and how many there were."""
    before = target.memory_kib()
    client = program.Client(**target.reach(kind, port), mode="idle", clients=sessions)
    client.await_line("begin")
    held = target.memory_kib()
    client.let_go()
    client.await_line("end")
    figures = client.result()
    by_component = {name: round((held[name] - before[name]) / sessions, 2) for name in held}
    return {**figures, "kib": by_component, "sessions": sessions, "before_kib": before}
