"""Lines on standard error: JSON for programs, readable on a terminal.

Owns their form, the session's id in each of its lines, and the one line at a session's end. What no line may hold is
taken out by `cleaning.py` (G17). Refuses to be told message text: nothing here takes it.

Lines of which there are many are told as members of JSON's object, `"name":value` with commas between. There each text
from outside is `cleaning.quoted`, and each other value a word or a number of ours.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from service.telemetry import spans
from service.telemetry.cleaning import Values, quoted, without_secrets
from service.telemetry.standard_error import Lines

Form = Literal["auto", "json", "console"]
ENDED = "session ended"
_IDS: ContextVar[Mapping[str, str]] = ContextVar("session", default=MappingProxyType({}))
"""Of the session for which a task runs, and of its trace where there is one."""


class SessionLog:
    """The log of one session: every line carries its id, the last one says what happened."""

    __slots__ = ("_own", "_trace", "context", "session_id")

    def __init__(self, session_id: str, listener: str) -> None:
        self.session_id = session_id
        self._own = f'"session":"{session_id}","listener":{quoted(listener)}'
        self._trace = ""
        """Members that each line has, and the one that it has while the session is traced."""
        self.context = _context_with({"session": session_id})
        """The context for the session's tasks, so that a library's lines carry its ids as well; one task at a time."""

    def bind(self, tenant: str, address: str) -> None:
        """Have each further line say whose the session is."""
        self._own += f',"tenant":{quoted(tenant)},"address":{quoted(address)}'

    def traced(self, trace_id: str) -> None:
        """Have each further line name the trace in which the session can be seen now; empty for none."""
        ids = {"session": self.session_id}
        if trace_id:
            self._trace, ids["trace_id"] = f',"trace_id":"{trace_id}"', trace_id
        elif self._trace:
            self._trace = ""
        else:
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

    def ended(self, members: str, silent: bool = False) -> None:
        """The one line at the end, with these members.

        Who was `silent` all the time is a balancer that looks whether the port answers, every other second: `debug`.
        """
        if silent:
            self._log.debug(ENDED, **facts_of(members))
        else:
            self._at_once(ENDED, members)

    def delivered(self, members: str) -> None:
        """A message was stored for a recipient, as these members say."""
        self._at_once("delivered", members)

    def _at_once(self, event: str, members: str) -> None:
        if _at_once is not None and structlog.get_config()["processors"][-1] is _at_once.renderer:
            _at_once.write(event, f"{self._own}{self._trace},{members}")
        else:
            self._log.info(event, **facts_of(members))

    @property
    def _log(self) -> FilteringBoundLogger:
        # Made when it is used: most sessions have no line but the last.
        log: FilteringBoundLogger = structlog.get_logger().bind(**facts_of(self._own + self._trace))
        return log


def facts_of(members: str) -> dict[str, Any]:
    """What they say."""
    facts: dict[str, Any] = json.loads(f"{{{members}}}")
    return facts


def _context_with(ids: Mapping[str, str]) -> Context:
    """The present one with these."""
    context = copy_context()
    if spans.CURRENT in context:
        # Where sessions take turns, one may be begun in the context of another: nothing of that one's stays.
        context.run(spans.CURRENT.set, spans.NOTHING)
    context.run(_IDS.set, ids)
    return context


class AtOnce:
    """Writes the lines of which there are many as the processors for JSON would, in a twentieth of the time."""

    def __init__(self, out: Lines, renderer: Processor) -> None:
        self.renderer = renderer
        """Which stands last among the processors, as long as nothing else is to be done with lines."""
        self._put = out.put

    def write(self, event: str, members: str) -> None:
        """Write one line of `members`."""
        self._put(f'{{{members},"event":"{event}","level":"info","at":"{_now()}"}}\n'.encode())


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
