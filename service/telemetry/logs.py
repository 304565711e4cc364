"""Lines on standard error: JSON for programs, readable on a terminal.

Owns their form, the session's id in each of its lines, and the one line at a session's end. What no line may hold is
taken out by `cleaning.py` (G17). Refuses to be told message text: nothing here takes it.
"""

import logging
import sys
import time
from collections.abc import Mapping
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NotRequired, TextIO, TypedDict, cast

import structlog
from pydantic_core import to_json
from structlog.typing import FilteringBoundLogger, Processor

from service.telemetry import spans
from service.telemetry.cleaning import Values, clean, without_secrets
from service.telemetry.standard_error import Lines

Form = Literal["auto", "json", "console"]


class SessionLine(TypedDict):
    """What the one line at the end of a session says beside its counts. What isn't known is left out."""

    protocol: str
    listener: str
    client: str
    end: str
    """One of `labels.ENDS`."""
    maildrop: NotRequired[str]
    """The maildrop's id."""
    mechanism: NotRequired[str]
    tls: NotRequired[str]
    cipher: NotRequired[str]
    server_name: NotRequired[str]
    """The name that the client asked for (SNI)."""


ENDED = "session ended"
_IDS: ContextVar[Mapping[str, str]] = ContextVar("session", default=MappingProxyType({}))
"""Of the session for which a task runs, and of its trace where there is one."""
_FROM_OUTSIDE = frozenset({"tenant", "address", "sender", "client", "tls", "cipher", "server_name"})


class SessionLog:
    """The log of one session: every line carries its id, the last one says what happened."""

    __slots__ = ("_facts", "context", "session_id")

    def __init__(self, session_id: str, listener: str) -> None:
        self.session_id = session_id
        self._facts: dict[str, object] = {"session": session_id, "listener": listener}
        self.context = _context_with({"session": session_id})
        """The context for the session's tasks, so that a library's lines carry its ids as well; one task at a time."""

    def bind(self, **facts: object) -> None:
        """Have each further line carry these too."""
        self._facts.update(facts)

    def traced(self, trace_id: str) -> None:
        """Have each further line name the trace in which the session can be seen now; empty for none."""
        ids = {"session": self.session_id}
        if trace_id:
            self._facts["trace_id"] = ids["trace_id"] = trace_id
        elif not self._facts.pop("trace_id", None):
            return
        self.context = _context_with(ids)

    def debug(self, event: str, **facts: object) -> None:
        """What helps to follow a session, off by default."""
        self._log.debug(event, **facts)

    def info(self, event: str, **facts: object) -> None:
        """What is normal."""
        self._log.info(event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        """What someone should know of."""
        self._log.warning(event, **facts)

    def exception(self, event: str, **facts: object) -> None:
        """A defect, inside its `except`; the traceback shows no values."""
        self._log.exception(event, **facts)

    def ended(self, line: SessionLine, counts: Mapping[str, int | float]) -> None:
        """The one line at the end; `octets_in` is among its counts.

        Who said nothing at all is a balancer that looks whether the port answers, every other second: `debug`.
        """
        if not counts["octets_in"] and line["end"] == "vanished":
            self._log.debug(ENDED, **line, **counts)
        else:
            self._at_once(ENDED, {**self._facts, **line, **counts})

    def delivered(self, **facts: str | int) -> None:
        """A message was stored for a recipient; `tenant`, `address` and `sender` alone are texts from outside."""
        self._at_once("delivered", {**self._facts, **facts})

    def _at_once(self, event: str, facts: dict[str, Any]) -> None:
        if _at_once is not None and structlog.get_config()["processors"][-1] is _at_once.renderer:
            _at_once.write(event, facts)
        else:
            self._log.info(event, **facts)

    @property
    def _log(self) -> FilteringBoundLogger:
        # Made when it is used: most sessions have no line but the last.
        log: FilteringBoundLogger = structlog.get_logger().bind(**self._facts)
        return log


def _context_with(ids: Mapping[str, str]) -> Context:
    """The present one with these."""
    context = copy_context()
    if spans.CURRENT in context:
        # Where sessions take turns, one may be begun in the context of another: nothing of that one's stays.
        context.run(spans.CURRENT.set, spans.NOTHING)
    context.run(_IDS.set, ids)
    return context


class AtOnce:
    """Writes the lines of which there are many as the processors for JSON would, in a quarter of the time.

    Each text that comes from outside is cleaned, each other is a word or a number of ours.
    """

    def __init__(self, out: Lines, renderer: Processor) -> None:
        self.renderer = renderer
        """Which stands last among the processors, as long as nothing else is to be done with lines."""
        self._put = out.put

    def write(self, event: str, facts: dict[str, Any]) -> None:
        """Write one line of `facts`, which the caller needs no more."""
        for name in _FROM_OUTSIDE & facts.keys():
            facts[name] = clean(facts[name])
        facts |= {"event": event, "level": "info", "at": _now()}
        self._put(to_json(facts, fallback=str) + b"\n")


_at_once: AtOnce | None = None
"""Where lines are JSON and those of this level are wanted."""


def get_log(component: str) -> FilteringBoundLogger:
    """The log of a part of Poplar that belongs to no session."""
    log: FilteringBoundLogger = structlog.get_logger().bind(component=component)
    return log


def configure(form: Form = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send Poplar's lines and those of libraries to `stream`, by default standard error."""
    out = stream if stream is not None else sys.stderr
    as_json = form == "json" or (form == "auto" and not out.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]
    common = _common_steps(as_json)
    renderer = _renderer(as_json, out.isatty())
    lines = Lines(out)
    global _at_once  # noqa: PLW0603 - as structlog's own configuration is
    _at_once = AtOnce(lines, renderer) if as_json and threshold <= logging.INFO and lines.takes_utf8 else None
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", lines)),
        cache_logger_on_first_use=False,
    )
    _route_libraries(common, _renderer(as_json, out.isatty()), lines, threshold)


def _common_steps(as_json: bool) -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S.%f", utc=as_json, key="at")
    return [
        structlog.contextvars.merge_contextvars,
        _with_ids,
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.format_exc_info,
        without_secrets,
    ]


def _with_ids(_logger: object, _method: str, values: Values) -> Values:
    """Have the line carry the ids of the session for which it is written, if it is for one."""
    return {**_IDS.get(), **values}


def _renderer(as_json: bool, colors: bool) -> Processor:
    if as_json:
        # Without spaces, as `AtOnce` writes: who looks for `"event":"refused"` finds every line.
        return structlog.processors.JSONRenderer(ensure_ascii=False, separators=(",", ":"), default=str)
    return structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
    )


def _route_libraries(common: list[Processor], renderer: Processor, out: Lines, threshold: int) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell at `info` what belongs to `debug` here, and some of them tell what they sent at `debug`.
    root.setLevel(max(threshold, logging.WARNING))


def _now() -> str:
    microseconds = time.time_ns() // 1000
    return f"{_second(microseconds // 1_000_000)}.{microseconds % 1_000_000:06}Z"


@lru_cache(1)
def _second(second: int) -> str:
    """A Unix second as ISO 8601 has it; there are many lines in one."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
