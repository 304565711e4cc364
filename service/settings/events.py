"""Events: where logins, refusals, removals and ends of sessions are told, and how much that may cost.

Owns the sinks' settings. Refuses to open any. `deploy/decisions/events.md` has the form of an event.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from service.settings.section import Count, Seconds, Section

SECRET_LEAST = 32
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class EventsSettings(Section):
    """The event stream."""

    file: str = ""
    """Path of a file to which events are appended as JSON lines; - for standard output; empty for none."""
    webhook: str = ""
    """URL (https) that events are posted to in batches; empty for none."""
    webhook_secret: SecretStr | None = None
    """Random text of 32 characters or more, shared with the receiver: signs every batch."""
    webhook_seconds: Seconds = 10.0
    """Seconds that one request to the webhook may take."""
    webhook_ca: Path | None = None
    """File of the authorities (PEM) that the webhook's certificate is checked by, instead of the usual ones."""
    webhook_loopback_http: bool = False
    """Whether the webhook may be http:// on this machine; meant for a relay beside the process."""
    queue: Count = 10_000
    """Events that may wait for one sink, at some 1 KiB each; further ones are dropped, counted and told as dropped."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 100
    """Events in one batch at most."""
    patience: Seconds = 300.0
    """Seconds for which a batch is tried again while its sink fails; after that it is dropped."""
    flush: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds for which a process that ends waits for its sinks."""
    recent: Annotated[int, Field(ge=0, le=100)] = 15
    """Kinds of logins and of refusals that Redis keeps of each account, for `poplar maildrop explain`; 0 for none."""
    recent_days: Annotated[float, Field(gt=0, le=90)] = 14.0
    """Days after which they are forgotten."""

    @field_validator("webhook")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (not parts.hostname or parts.username is not None):
            raise ValueError("must be a URL with a host and without a password")
        return value

    @model_validator(mode="after")
    def _webhook_is_private(self) -> "EventsSettings":
        # Who may be told of logins in clear is this machine alone, and only where that is meant.
        parts = urlsplit(self.webhook)
        meant = self.webhook_loopback_http and parts.hostname in LOOPBACK
        if self.webhook and parts.scheme != "https" and not (parts.scheme == "http" and meant):
            raise ValueError("webhook must begin with https://, or be http://127.0.0.1 with webhook_loopback_http")
        return self

    @model_validator(mode="after")
    def _webhook_has_its_secret(self) -> "EventsSettings":
        secret = self.webhook_secret.get_secret_value() if self.webhook_secret else ""
        if self.webhook and len(secret) < SECRET_LEAST:
            raise ValueError(f"webhook needs a webhook_secret of at least {SECRET_LEAST} characters")
        return self
