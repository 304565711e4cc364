"""What else becomes of messages when a session ends with QUIT, beside the removal of some.

Owns the two wishes that a policy may have. Refuses to know policies and stores.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`retrieved` are the sequence numbers of messages that count as retrieved from now on, unless they did before."""

    retrieved: Sequence[int] = ()
    undo_days: int | None = None
    """Days for which what is removed can be restored; None for as long as the service keeps removed messages."""


NO_AFTERMATH = Aftermath()
