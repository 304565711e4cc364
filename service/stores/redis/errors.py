"""What kind of failure an error of redis-py is.

Owns the translation into the closed set of kinds that is counted, and which of them say that the server is
out of reach, so that asking it again at once is a waste of time. Refuses to decide what follows from it.
"""

import asyncio

from redis import exceptions

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (asyncio.TimeoutError, "timeout"),
    (exceptions.TimeoutError, "timeout"),
    (exceptions.AuthenticationError, "denied"),
    (exceptions.AuthorizationError, "denied"),
    (exceptions.NoPermissionError, "denied"),
    (exceptions.OutOfMemoryError, "full"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.MaxConnectionsError, "overload"),
    (exceptions.BusyLoadingError, "connection"),
    (exceptions.ClusterDownError, "connection"),
    (exceptions.ConnectionError, "connection"),
    (OSError, "connection"),
)
UNDONE = (exceptions.NoScriptError, exceptions.AskError, exceptions.TryAgainError)
"""What a server says that did nothing of a command: it hasn't the script, or a slot of a cluster is elsewhere, in part
perhaps. MovedError is an AskError."""
_ANSWERS = (exceptions.ResponseError, exceptions.BusyLoadingError)


class CallFailed(Exception):
    """A command got no answer, or an error for an answer; `kind` is out of telemetry's closed set."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def kind_of(error: BaseException) -> str:
    """The kind of `error`, out of telemetry's closed set."""
    if isinstance(error, CallFailed):
        return error.kind
    return next((kind for family, kind in _KINDS if isinstance(error, family)), "protocol")


def unreachable(error: object) -> bool:
    """Whether no answer came, or what came is no answer: a refusal of the server itself costs no time."""
    return isinstance(error, Exception) and not isinstance(error, _ANSWERS)
