"""Poplar with a defect: it dies as soon as it serves, and the exception names a password.

It is run in place of `service`, so that what such an end leaves in the log can be looked at.
"""

from service.app import processes
from service.cli.main import main
from service.telemetry.logs import get_log


async def _dies(*_given: object) -> None:
    get_log("process").info("serving")
    raise RuntimeError("no such system: redis://:hunter2@cache")


if __name__ == "__main__":
    processes._until_signal = _dies  # type: ignore[assignment]
    main()
