"""Sinks of the event stream: can the file be written, does the webhook take an empty batch.

Owns the advice. Leaves no file behind, and sends no event.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from service.app.doctor.findings import Finding, doubtful, good
from service.app.events import webhook_of
from service.model.refusal import Reason, Refusal
from service.settings import Settings, SettingsError
from service.stores.event_file import STDOUT


async def check_events(settings: Settings) -> AsyncIterator[Finding]:
    """Each sink that is set. None is needed for a login, so that none is ever wrong."""
    if settings.events.file not in {"", STDOUT}:
        yield _file(Path(settings.events.file))
    if settings.events.webhook:
        yield await _webhook(settings)


def _file(path: Path) -> Finding:
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        advice = f"Let Poplar's user write {path}, or set events.file to another path; events are lost meanwhile."
        return doubtful("events", f"the file {path} can't be written", advice)
    return good("events", f"the file {path} can be written")


async def _webhook(settings: Settings) -> Finding:
    try:
        webhook = webhook_of(settings.events)
    except SettingsError as error:
        return doubtful("events", str(error.problems[0]), "Set it to a file of PEM certificates.")
    try:
        await webhook.take([])
    except Refusal as refusal:
        unwanted = "See whether it has the same webhook_secret, and answers a batch without events with 2xx."
        away = "Check its name, its port and its certificate; events are tried again for events.patience seconds."
        return doubtful("events", refusal.cause, unwanted if refusal.reason is Reason.INVALID else away)
    finally:
        await webhook.aclose()
    return good("events", "the webhook takes batches")
