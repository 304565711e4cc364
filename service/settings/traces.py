"""Traces: whether sessions are traced, how many of them, and where their spans go.

Owns what that may cost. What stands here goes before the OTEL_* variables of the environment; those that it doesn't
name (resource attributes, certificates, compression) are obeyed. Refuses to know OpenTelemetry.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service.settings.section import Count, Seconds, Section


class TracesSettings(Section):
    """Traces of sessions, by OpenTelemetry."""

    enabled: bool = False
    """Whether sessions are traced; without it nothing of OpenTelemetry is even loaded."""
    endpoint: str = ""
    """URL of a collector (OTLP over HTTP), such as http://collector:4318; empty for OTEL_EXPORTER_OTLP_ENDPOINT."""
    headers: SecretStr | None = None
    """Headers for the collector, such as `authorization=Bearer%20...`; several are separated by commas."""
    ca: Path | None = None
    """File of the authorities (PEM) that the collector's certificate is checked by, instead of the usual ones."""
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of sessions and requests that are traced. A `traceparent` that says "not sampled" is obeyed, no other."""
    tenants: bool = False
    """Whether spans name the tenant. The log, which has the trace's id, names it anyhow."""
    queue: Count = 4096
    """Spans that may wait for the collector, at some 2 KiB each; further ones are dropped and counted."""
    deadline: Seconds = 5.0
    """Seconds that a batch may take, repetitions included; after that it is dropped and counted."""
    flush: Annotated[float, Field(ge=0, le=60)] = 2.0
    """Seconds for which a process that ends waits for the collector."""

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None):
            raise ValueError("must be an http:// or https:// URL with a host and without a password")
        return value
