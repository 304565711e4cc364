"""What is measured: a server that answers on some ports and keeps the maildrops of `mail.py`.

Owns how load is put on it and what it used meanwhile, as one flat set of figures. Refuses to know which server it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.load import program
from tests.load.accounting import cpu_of, pss_kib, used
from tests.load.mail import SECRET, Kind


def _nothing(_: object) -> None:
    """What a server does to which no maildrops can be given."""


@dataclass(frozen=True)
class Target:
    """A running server; `components` are the processes at the head of each of its parts."""

    name: str
    ports: Mapping[str, int]
    components: Mapping[str, int]
    furnish: Callable[[Sequence[Kind]], None] = _nothing
    restore: Callable[[Kind], None] = _nothing
    host: str = "127.0.0.1"
    proxy: bool = True
    """Whether port `pop3` expects a PROXY header."""

    def load(self, kind: Kind, *, port: str = "pop3", **options: object) -> dict[str, Any]:
        """Figures of one run of the client against these maildrops; `cpu` has seconds by component."""
        figures, before, after = program.run(lambda: cpu_of(self.components), **self.reach(kind, port), **options)
        return {**figures, "cpu": used(before, after)}

    def reach(self, kind: Kind, port: str = "pop3") -> dict[str, object]:
        """The client's options that say where, and as whom."""
        where = {"host": self.host, "port": self.ports[port], "user": kind.user, "users": kind.maildrops}
        through = {"proxy": self.proxy and port == "pop3", "tls": port == "pop3s"}
        return {**where, **through, "password": SECRET}

    def memory_kib(self) -> dict[str, int]:
        """What each component holds now."""
        return {name: pss_kib(pid) for name, pid in self.components.items()}
