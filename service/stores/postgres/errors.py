"""Postgres' errors as Poplar's closed set of refusals: the one place that reads them.

Owns three judgements on an error: which refusal it is, whether repeating an idempotent statement may
help, and whether the statement may have been carried out all the same. Refuses to know statements.
RFC 3206 §4: what is temporary is said to be.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import asyncpg

from service.model.refusal import Reason, Refusal

VENDOR_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that a call of the driver raises; TimeoutError is an OSError."""

_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (asyncpg.UniqueViolationError, Reason.EXISTS),
    (asyncpg.ForeignKeyViolationError, Reason.NOT_FOUND),
    (asyncpg.IntegrityConstraintViolationError, Reason.INVALID),
    (asyncpg.DataError, Reason.INVALID),
    (asyncpg.exceptions.DataError, Reason.INVALID),
)

_PLAIN: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.EXISTS: "the name is taken",
        Reason.NOT_FOUND: "what this belongs to isn't there",
        Reason.INVALID: "a value can't be stored",
    }
)

_PASSING = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
)
"""A restart, a failover, a full server or a deadlock: another try on another connection may pass."""

_LASTING = (asyncpg.QueryCanceledError, asyncpg.DatabaseDroppedError, ValueError)
"""Exceptions to the above: the server's own time limit was spent, or the values can't be sent at all."""

_NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)

_ROLLED_BACK = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.QueryCanceledError,
)


def end_of(connection: "asyncpg.Connection[asyncpg.Record] | None", error: Exception) -> ConnectionResetError | None:
    """The error of a connection that ended while it was written to, as any other that ended has; None if it didn't.

    uvloop raises RuntimeError for that. A session that waits for its turn between two steps meets it often: the
    connection that it just made may be closed by then. One that is ended between two steps of a statement, as its
    deadline comes, has lost what asyncpg speaks through, which then raises AttributeError.
    """
    if isinstance(error, RuntimeError):
        return ConnectionResetError(str(error))
    if connection is not None and connection.is_closed():
        return ConnectionResetError("ended between two steps of a statement")
    return None


def refusal_of(error: BaseException) -> Refusal:
    """The refusal that `error` amounts to; its private cause names the kind and SQLSTATE."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return Refusal(reason, _cause(error))
    return Refusal(Reason.UNAVAILABLE, _cause(error))


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turns errors into refusals without a vendor's words, since the cause of such a one goes to API clients."""
    try:
        yield
    except VENDOR_ERRORS as error:
        refusal = refusal_of(error)
        raise Refusal(refusal.reason, _PLAIN.get(refusal.reason, refusal.cause)) from error


def temporary(refusal: Refusal) -> Refusal:
    """`refusal` for a caller that need not know whether its statement was carried out."""
    unknown = refusal.reason is Reason.UNKNOWN_OUTCOME
    return Refusal(Reason.UNAVAILABLE, refusal.cause) if unknown else refusal


def may_pass(error: BaseException) -> bool:
    """Whether repeating an idempotent statement on another connection may succeed."""
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING)


def may_have_happened(error: BaseException) -> bool:
    """Whether a statement that was sent and met `error` may have been committed.

    An error that the server reports for the statement itself rolled it back; a connection that
    ended, for whatever reason, says nothing about it.
    """
    return may_pass(error) and not isinstance(error, _ROLLED_BACK)


def _cause(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    message = str(error) or "no answer in time"
    return f"postgres: {type(error).__name__}{f' {state}' if state else ''}: {message}{_advice(error)}"


def _advice(error: BaseException) -> str:
    if isinstance(error, _NOT_MIGRATED):
        return "; is it migrated? Run `poplar migrate`"
    # Neither the driver nor the system says which file it was.
    return "; is the URL's sslrootcert there (or its socket)?" if isinstance(error, FileNotFoundError) else ""
