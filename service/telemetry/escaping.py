"""Exceptions that nothing catches, as lines of the log like any other: in their form, without secrets.

Owns the interpreter's two last resorts. Without them a client whose TLS asks for a name that isn't ASCII has a
traceback of five lines written to standard error, as the ssl module can't hand that exception to anybody, and a process
that dies of a defect writes whatever the exception says. Refuses to keep a process alive.
"""

import sys
from types import TracebackType

from service.telemetry.logs import get_log


def log_what_escapes() -> None:
    """Have this process do so from now on; to be called after `logs.configure`."""
    sys.unraisablehook = _unraisable
    sys.excepthook = _crashed


def _unraisable(escaped: "sys.UnraisableHookArgs") -> None:
    log = get_log("process")
    if isinstance(escaped.object, bytes):
        # RFC 6066 §3 has names in ASCII alone. The octets themselves are the client's and of no use here.
        log.debug("a handshake asked for a name that is none")
        return
    log.error("an exception was lost", kind=escaped.exc_type.__name__, cause=str(escaped.exc_value))


def _crashed(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    get_log("process").critical("crashed", exc_info=(kind, error, traceback))
