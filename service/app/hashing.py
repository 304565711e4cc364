"""Makes what verifies passwords out of the settings.

Owns which setting goes where, and that threads and waiting writes end with the block. Refuses to know whose password it
is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.app.clock import SystemClock
from service.app.cores import hashing_threads
from service.mail.enrolments import Enrolments
from service.mail.fair import FairHashes
from service.mail.ports import Directory
from service.mail.renewals import Renewals
from service.mail.scram import ScramChallenges
from service.mail.turns import Turns
from service.mail.verdicts import Verdicts
from service.mail.verification import Verification
from service.settings import Settings
from service.settings.behaviour import HashingSettings
from service.stores.passwords import COSTS, Argon2Hashes
from service.stores.postgres.database import Database
from service.stores.postgres.verifiers import PostgresVerifiers
from service.telemetry import metrics, watching


@asynccontextmanager
async def open_hashes(settings: HashingSettings) -> AsyncIterator[Argon2Hashes]:
    """The password verifiers, on threads of their own."""
    threads = hashing_threads(settings)
    hashes = Argon2Hashes(COSTS[settings.argon2], threads=threads, queue=settings.queue, observer=watching)
    try:
        yield hashes
    finally:
        hashes.close()


@asynccontextmanager
async def open_scram(settings: Settings, database: Database, directory: Directory) -> AsyncIterator[Enrolments | None]:
    """What SCRAM needs, where it is switched on and can succeed; Poplar's own keys are kept in `database`."""
    secret = settings.hashing.scram_secret
    if not (settings.hashing.scram and settings.directory.may_scram) or secret is None:
        yield None
        return
    challenges = ScramChallenges(directory, secret.get_secret_value().encode())
    enrolments = Enrolments(challenges, PostgresVerifiers(database), metrics.scram_enrolled)
    try:
        yield enrolments
    finally:
        await enrolments.close()


@asynccontextmanager
async def open_verification(
    settings: HashingSettings, database: Database, turns: Turns | None = None
) -> AsyncIterator[Verification]:
    """The verification of passwords, with what it remembers; verifiers are renewed in `database`."""
    clock = SystemClock()
    async with open_hashes(settings) as own:
        hashes = FairHashes(own, turns) if turns else own
        verdicts = Verdicts(clock, settings.remember_seconds, settings.remember_entries, metrics.verdict_asked)
        renewals = Renewals(hashes, PostgresVerifiers(database), metrics.verifier_renewed)
        try:
            yield Verification(hashes, verdicts, renewals)
        finally:
            await renewals.close()
