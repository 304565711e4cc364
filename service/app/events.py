"""The event stream of a process: one pipe to each sink that the settings name.

Owns their start and the short while that each gets at the end. Refuses to know what is told, and to let the absence of
a sink keep anything from starting. A sink that fails is said once in the log, and so is its return.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from service.app.background import background
from service.app.clock import SystemClock
from service.app.identity import this_process
from service.mail.events import Events, EventStream, Pipe, PipeBounds, Sink
from service.mail.recent import REGISTERED
from service.settings import Settings, SettingsError
from service.settings.errors import Problem
from service.settings.events import EventsSettings
from service.stores.event_file import EventFile
from service.telemetry import event_metrics
from service.telemetry.logs import get_log

if TYPE_CHECKING:
    from service.stores.event_webhook import EventWebhook

MEASURE_EVERY = 5.0
RECENT_PATIENCE = 10.0
RECENT_GATHER = 0.02
"""Seconds within which logins share a pipeline to their register, which was most of what each cost there."""
RECENT_BATCH = 16
"""Of which the event loop makes keys and texts in one go: more would keep sessions waiting."""


@asynccontextmanager
async def event_stream(settings: Settings, logins: bool) -> AsyncIterator[Events]:
    """Where the parts of this process tell what happened, until the block ends. Raises SettingsError.

    The register of recent logins needs no place in a process that takes no `logins`.
    """
    events = settings.events
    async with AsyncExitStack() as stack:
        sinks = await _sinks(stack, settings, logins)
        pipes = {name: _pipe(name, sink, events) for name, sink in sinks.items()}
        tasks = await stack.enter_async_context(background())
        for name, pipe in pipes.items():
            tasks.start(f"events to {name}", pipe.run)

        async def measure() -> None:
            for name, pipe in pipes.items():
                event_metrics.waiting(name, len(pipe))

        tasks.every("events that wait", MEASURE_EVERY, measure)
        try:
            yield EventStream(list(pipes.values()), SystemClock(), this_process())
        finally:
            await _flush(pipes, events.flush)


class Telling:
    """Tells the metrics what came of events, and the log when a sink fails and when it takes events again."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._log = get_log("events")
        self._failing = False

    def __call__(self, outcome: str, count: int) -> None:
        """So many events came to this."""
        event_metrics.told(self._sink, outcome, count)
        failing = outcome != "delivered"
        if failing and not self._failing:
            self._log.warning("events are not taken", sink=self._sink, outcome=outcome)
        elif self._failing and not failing:
            self._log.info("events are taken again", sink=self._sink)
        self._failing = failing


async def _sinks(stack: AsyncExitStack, settings: Settings, logins: bool) -> dict[str, Sink]:
    sinks: dict[str, Sink] = {}
    if settings.events.file:
        file = EventFile(settings.events.file)
        stack.callback(file.close)
        sinks["file"] = file
    if settings.events.webhook:
        webhook = webhook_of(settings.events)
        stack.push_async_callback(webhook.aclose)
        sinks["webhook"] = webhook
    if settings.events.recent and logins:
        from service.app.leasing import open_recent

        sinks["recent"] = await stack.enter_async_context(open_recent(settings))
    return sinks


def webhook_of(settings: EventsSettings) -> "EventWebhook":
    """The webhook, to be closed. Raises SettingsError."""
    # Its library is large: a process without a webhook needn't hold it.
    from service.stores.event_webhook import EventWebhook, WebhookOptions

    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    options = WebhookOptions(settings.webhook, secret, settings.webhook_seconds, settings.webhook_ca)
    try:
        return EventWebhook(options)
    except OSError as error:
        raise SettingsError([Problem("events.webhook_ca", f"can't be used: {error.strerror or error}")]) from None


def _pipe(name: str, sink: Sink, settings: EventsSettings) -> Pipe:
    if name != "recent":
        return Pipe(sink, PipeBounds(settings.queue, settings.batch, settings.patience), Telling(name))
    # What is recent soon isn't any more.
    patience = min(settings.patience, RECENT_PATIENCE)
    bounds = PipeBounds(settings.queue, min(settings.batch, RECENT_BATCH), patience, gather=RECENT_GATHER)
    return Pipe(sink, bounds, Telling(name), REGISTERED, ids=False)


async def _flush(pipes: dict[str, Pipe], seconds: float) -> None:
    """Give each sink a short while for what waits; all together, so that one that hangs costs no other its own."""
    remaining = await asyncio.gather(*(pipe.settled(seconds) for pipe in pipes.values()))
    for name, left in zip(pipes, remaining, strict=True):
        event_metrics.waiting(name, 0)
        if left:
            event_metrics.told(name, "dropped", left)
            get_log("events").warning("events were not taken before the end", sink=name, count=left)
