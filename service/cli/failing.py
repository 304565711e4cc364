"""What a failed command says.

Owns which failures a person can put right, and their exit codes. Refuses to hide a defect: what it doesn't know
is raised again, with its traceback.
"""

from service.model.refusal import Reason, Refusal
from service.settings import SettingsError


def explained(error: Exception) -> tuple[int, list[str]]:
    """The exit code and what to say. Raises `error` itself when it is a defect."""
    if isinstance(error, ExceptionGroup):
        return explained(error.exceptions[0])
    if isinstance(error, SettingsError):
        return 2, [str(problem) for problem in error.problems]
    if isinstance(error, Refusal):
        return 1, [_refused(error)]
    if isinstance(error, OSError):
        return 1, [_where(error) + (error.strerror or str(error))]
    raise error


def _where(error: OSError) -> str:
    return f"{error.filename}: " if error.filename else ""


def _refused(refusal: Refusal) -> str:
    if refusal.reason is not Reason.UNAVAILABLE:
        return refusal.cause or refusal.reason.value.replace("_", " ")
    # Only now: it imports what logs need, and most commands don't fail.
    from service.app.telling import why

    return why(refusal)
