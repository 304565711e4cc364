"""`Settings`: all parts together, and what must hold between them.

Owns the names of the parts. Made directly, it reads neither environment nor file, so that tests and the
demo can make one. Refuses to know where values come from.
"""

import re
import socket

from pydantic import Field, field_validator, model_validator

from service.settings.abuse import AbuseSettings
from service.settings.behaviour import (
    DeadlinesSettings,
    DrainSettings,
    HashingSettings,
    LimitsSettings,
    LoggingSettings,
    Pop3Settings,
    ProcessSettings,
    SweepSettings,
)
from service.settings.directory import DirectorySettings
from service.settings.events import EventsSettings
from service.settings.fairness import FairnessSettings
from service.settings.listening import DEFAULT_LISTENERS, HttpSettings, ListenerSettings, TlsSettings
from service.settings.oauth import OAuthSettings
from service.settings.outage import OutageSettings
from service.settings.section import Section
from service.settings.systems import DatabaseSettings, ObjectStoreSettings, RedisSettings
from service.settings.traces import TracesSettings


class Settings(Section):
    """Everything that can be configured. Frozen, checked, and complete: every part has its default."""

    hostname: str = Field(default_factory=socket.gethostname)
    """The name that the greeting and Received lines give this server."""
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    object_store: ObjectStoreSettings = ObjectStoreSettings()
    listeners: tuple[ListenerSettings, ...] = DEFAULT_LISTENERS
    """The ports: a list, in the environment as JSON."""
    tls: TlsSettings = TlsSettings()
    http: HttpSettings = HttpSettings()
    limits: LimitsSettings = LimitsSettings()
    deadlines: DeadlinesSettings = DeadlinesSettings()
    drain: DrainSettings = DrainSettings()
    hashing: HashingSettings = HashingSettings()
    fairness: FairnessSettings = FairnessSettings()
    oauth: OAuthSettings = OAuthSettings()
    sweep: SweepSettings = SweepSettings()
    process: ProcessSettings = ProcessSettings()
    logging: LoggingSettings = LoggingSettings()
    traces: TracesSettings = TracesSettings()
    pop3: Pop3Settings = Pop3Settings()
    events: EventsSettings = EventsSettings()
    directory: DirectorySettings = DirectorySettings()
    outage: OutageSettings = OutageSettings()
    abuse: AbuseSettings = AbuseSettings()

    @field_validator("hostname")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        # It stands in greetings and in Received lines: no space or line end may get there.
        if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", value):
            raise ValueError("must be a name of letters, digits, '-' and '.', or an address")
        return value

    @field_validator("listeners")
    @classmethod
    def _differ(cls, value: tuple[ListenerSettings, ...]) -> tuple[ListenerSettings, ...]:
        if len({listener.name for listener in value}) < len(value):
            raise ValueError("two listeners must not have the same name")
        fixed = [(listener.host, listener.port) for listener in value if listener.port]
        if len(set(fixed)) < len(fixed):
            raise ValueError("two listeners must not have the same host and port")
        return value

    @model_validator(mode="after")
    def _http_is_apart(self) -> "Settings":
        taken = {(listener.host, listener.port) for listener in self.listeners if listener.port}
        if (self.http.host, self.http.port) in taken:
            raise ValueError("http.port must not be the port of a listener")
        return self
