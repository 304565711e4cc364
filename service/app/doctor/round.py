"""The round of checks, in the order in which a person would put things right.

Owns that one failing check never hides another, and that the round ends. Refuses to know what each looks at.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from service.app.doctor.authorities import check_authority_files
from service.app.doctor.certificates import check_certificates
from service.app.doctor.directories import check_directories
from service.app.doctor.events import check_events
from service.app.doctor.findings import Finding, wrong
from service.app.doctor.machine import check_descriptors, check_ports
from service.app.doctor.mail import check_mail
from service.app.doctor.systems import check_objects, check_postgres, check_redis
from service.settings import Settings
from service.telemetry.cleaning import scrubbed

Check = Callable[[Settings], AsyncIterator[Finding]]
CHECKS: dict[str, Check] = {
    "postgres": check_postgres,
    "redis": check_redis,
    "object store": check_objects,
    "stored mail": check_mail,
    "directories": check_directories,
    "events": check_events,
    "certificates": check_certificates,
    "authorities": check_authority_files,
    "ports": check_ports,
    "open files": check_descriptors,
}
LONGEST = 60.0
"""Seconds that one check may take."""


async def examine(settings: Settings) -> list[Finding]:
    """What every check found."""
    rounds = await asyncio.gather(*(_listed(name, check, settings) for name, check in CHECKS.items()))
    return [finding for findings in rounds for finding in findings]


async def _listed(name: str, check: Check, settings: Settings) -> list[Finding]:
    return [finding async for finding in _carried_out(name, check, settings)]


async def _carried_out(name: str, check: Check, settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(LONGEST):
            async for finding in check(settings):
                yield finding
    except Exception as error:
        told = scrubbed(f"{type(error).__name__}: {error}")
        yield wrong(name, f"the check itself failed: {told}", "Please report this as a defect of Poplar's.")
