"""`poplar` on a machine whose clock is wrong: CLOCK_OFF seconds are added to what its clock port says is now.

Owns the offset. Refuses to touch anything else: what asks the system itself
for the time, or for seconds gone by, is right.
"""

import os
from datetime import UTC, datetime, timedelta

from service.app.clock import SystemClock
from service.cli.main import main

OFF = timedelta(seconds=float(os.environ.get("CLOCK_OFF", "0")))


def now(_: SystemClock) -> datetime:
    """What this machine takes for the current moment."""
    return datetime.now(UTC) + OFF


if __name__ == "__main__":
    SystemClock.now = now  # type: ignore[method-assign,assignment]
    main()
