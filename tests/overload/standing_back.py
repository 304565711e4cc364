"""How hostile clients stand back behind all else on this machine, as they would be other machines.

Owns that alone. Refuses to know what they do.
"""

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10
GROUP = Path("/proc/self/autogroup")


def stand_back(*, apart: bool) -> None:
    """Have this process, and what it starts, compute when others leave time.

    Where Linux groups processes by session (autogroup), niceness counts within a session only, and the server has one
    of its own: where figures are judged this becomes one, `apart`, that stands back as a whole.
    """
    os.nice(NICENESS)
    if apart:
        with suppress(PermissionError):
            os.setsid()
        with suppress(OSError):
            GROUP.write_text(str(NICENESS))
