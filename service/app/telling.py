"""What a person is told of a failure that lies behind a refusal.

Owns what may be repeated of another system's own words: one line, without passwords. Refuses to judge.
"""

from service.model.refusal import Refusal
from service.telemetry.cleaning import MASK, scrubbed

LINE = 300
"""Characters that are repeated of another system's words."""


def why(error: BaseException, *secrets: str) -> str:
    """The cause of a refusal and the first line of what lies behind it, without passwords and `secrets`."""
    behind = error
    while behind.__cause__ is not None:
        behind = behind.__cause__
    said = (str(behind).splitlines() or [""])[0][:LINE]
    cause = error.cause if isinstance(error, Refusal) else str(error)
    text = cause if said in cause or behind is error else f"{cause}: {said}"
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK)
    return scrubbed(text)
