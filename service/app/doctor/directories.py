"""Outside directories: does each answer clearly, and does every tenant use one that the settings have.

Owns the advice. Each is asked for an address that nobody has: a directory that knows it would know anybody.
"""

from collections.abc import AsyncIterator

from service.app.databases import open_database
from service.app.directories import open_outside
from service.app.doctor.findings import Finding, doubtful, good, wrong
from service.app.telling import why
from service.mail.outside.guard import Bounds, Guard
from service.model.address import parse_address
from service.model.outside import OWN, Question
from service.model.refusal import Refusal
from service.settings import Settings, SettingsError
from service.settings.directory import OutsideDirectorySettings
from service.stores.postgres.checkup import directories_in_use

NOBODY = parse_address("poplar-doctor@nobody.invalid")


async def check_directories(settings: Settings) -> AsyncIterator[Finding]:
    """Every one of the settings, and every one that a tenant chose."""
    for each in settings.directory.outside:
        yield await _asked(each)
        if settings.hashing.scram and not each.scram:
            advice = (
                "Bring a column scram by its query, or switch hashing.scram off: clients choose SCRAM by themselves."
            )
            yield doubtful(f"directory {each.name}", "its users can't log in by SCRAM, which is offered", advice)
    try:
        async with open_database(settings.database, "front") as database:
            chosen = await directories_in_use(database)
    except Refusal:
        return  # The check of Postgres says so.
    for name in sorted(chosen.keys() - {OWN, *(each.name for each in settings.directory.outside)}):
        advice = f"Add it to directory.outside, or run `poplar tenant directory {chosen[name]} --use default`."
        yield wrong(f"directory {name}", f"isn't in the settings, but tenant {chosen[name]} uses it", advice)


async def _asked(settings: OutsideDirectorySettings) -> Finding:
    subject = f"directory {settings.name}"
    try:
        async with open_outside(settings) as directory:
            answer = await Guard(settings.name, directory, Bounds(deadline=settings.deadline)).ask(
                Question(NOBODY, "poplar-doctor")
            )
    except (Refusal, SettingsError) as error:
        secret = settings.secret.get_secret_value() if settings.secret else ""
        advice = "Its tenants' logins are refused as transient. Check its url, query and secret, and what its log says."
        return wrong(subject, f"gives no clear answer ({why(error, secret)})", advice)
    if answer is not None:
        advice = "See whether its query compares the address at all, or the hook looks at it."
        return wrong(subject, f"knows {NOBODY}, which nobody has", advice)
    return good(subject, "answers")
