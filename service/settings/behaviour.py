"""How Poplar behaves: limits, deadlines, drain, hashing, sweep, logs, POP3.

Owns the bounds that keep memory and time finite (G15). Refuses to know how they are enforced.
RFC 1939 §3 (autologout), RFC 2449 §6.9 (IMPLEMENTATION), RFC 6856 §2 (UTF8).
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from service.settings.section import Count, CountOrNone, Octets, Seconds, Section

AUTOLOGOUT_LEAST = 600.0
SECRET_LEAST = 32
DELIVERY_LEAST = 34 * 1024 * 1024
"""As `service.mail.delivery` needs it."""
BUFFERED_LEAST = 16 * 1024
"""The longest line of a command, as POP3's AUTH may have it: with less, reading would stop before its end has come."""
BUFFERED_MOST = 1024 * 1024 * 1024
"""What OpenSSL can be asked for at once is below 2 GiB."""


class LimitsSettings(Section):
    """What one session, address or process may use."""

    connections: Count = 10_000
    """Connections of one process; above it the oldest one that isn't logged in makes room."""
    connections_per_address: CountOrNone = 0
    """Connections from one client address; 0 for no limit."""
    session_octets: Annotated[int, Field(ge=BUFFERED_LEAST, le=BUFFERED_MOST)] = 256 * 1024
    """Octets buffered for one session before its socket isn't read or its store not asked any more; from 16 KiB."""
    prefetch_session_octets: Octets = 2 * 1024 * 1024
    """Octets that may be fetched ahead for one session; 0 fetches nothing ahead."""
    prefetch_process_octets: Octets = 64 * 1024 * 1024
    """Octets that may be fetched ahead for all sessions of a process."""
    retrieval_octets: Count = 256 * 1024 * 1024
    """Octets of messages on their way to clients that one process holds in memory; further ones wait, for 3 s or so."""
    listing_octets: Count = 512 * 1024 * 1024
    """Octets of listings that one process holds in memory, 34 a message, more for one with another server's UIDL."""
    login_failures: Count = 3
    """Wrong passwords after which a session is closed; the same wrong one counts once."""
    message_octets: Count = 100 * 1024 * 1024
    """Octets of the largest message that LMTP accepts."""
    recipients: Count = 100
    """Recipients of one LMTP transaction."""
    delivery_octets: Annotated[int, Field(ge=DELIVERY_LEAST)] = 256 * 1024 * 1024
    """Octets of messages in transit by LMTP that one process holds in memory; at least 34 MiB, so that each fits."""


class DeadlinesSettings(Section):
    """How long a client may take."""

    autologout: Seconds = AUTOLOGOUT_LEAST
    """Seconds without a command until a POP3 session is closed without UPDATE; at least 600 (RFC 1939 §3)."""
    short_autologout: bool = False
    """Allows an autologout under 600 seconds, against RFC 1939 §3; meant for tests."""
    proxy_header: Seconds = 5.0
    """Seconds until a whole PROXY header has come."""
    handshake: Seconds = 30.0
    """Seconds until a TLS handshake is done."""
    stall: Seconds = 300.0
    """Seconds for which a client may read nothing of a response."""
    lmtp_idle: Seconds = 300.0
    """Seconds without a command or data until an LMTP session is closed."""

    @model_validator(mode="after")
    def _long_enough(self) -> "DeadlinesSettings":
        # RFC 1939 §3: "A POP3 server MAY have an inactivity autologout timer. Such a timer MUST be of at
        # least 10 minutes' duration."
        if self.autologout < AUTOLOGOUT_LEAST and not self.short_autologout:
            raise ValueError("autologout must be at least 600 seconds (RFC 1939 §3)")
        return self


class DrainSettings(Section):
    """How a process ends."""

    grace: Seconds = 25.0
    """Seconds that sessions and API requests get to finish after SIGTERM; keep it under the pod's own grace."""
    announce: Annotated[float, Field(ge=0, le=300)] = 0.0
    """Seconds for which listeners stay open after readiness is gone, so that balancers notice first."""


class HashingSettings(Section):
    """Verifying passwords."""

    threads: CountOrNone = 0
    """Threads that verify passwords; 0 for one for each core the process may use, at most 4."""
    argon2: Literal["46MiB", "19MiB", "12MiB", "9MiB", "7MiB"] = "19MiB"
    """Memory that Argon2id takes in each thread, with the passes OWASP's advice has for it: less is less time."""
    queue: Count = 256
    """Logins that may wait for a thread; further ones are asked to come back."""
    remember_seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """Seconds for which a right password is not computed again; 0 computes it at each login."""
    remember_entries: Count = 65_536
    """Right passwords that one process remembers, as keyed hashes of some 200 octets each."""
    scram: bool = False
    """Whether SCRAM-SHA-256 is offered; a password gets its keys when it is set, an older one when it is next used."""
    scram_plus: Literal["never", "tls1.2", "always"] = "tls1.2"
    """On which connections SCRAM-SHA-256-PLUS is offered too; always only where no client insists on tls-exporter."""
    scram_secret: SecretStr | None = None
    """Random text of 32 characters or more, the same everywhere and for good: hides by SCRAM which names exist."""

    @model_validator(mode="after")
    def _scram_has_its_secret(self) -> "HashingSettings":
        secret = self.scram_secret.get_secret_value() if self.scram_secret else ""
        if self.scram and len(secret) < SECRET_LEAST:
            raise ValueError(f"scram needs a scram_secret of at least {SECRET_LEAST} characters")
        return self


class SweepSettings(Section):
    """What `poplar sweep` deletes for good."""

    removed_retention_days: Annotated[float, Field(ge=0.05, le=3650)] = 7.0
    """Days for which a removed message can be restored by staff; at least 0.05, so that sessions still know it."""
    interval: Seconds = 3600.0
    """Seconds between two sweeps of `poplar sweep --loop`."""
    batch: Count = 500
    """Messages deleted in one step."""
    orphan_hours: Annotated[float, Field(ge=1, le=8760)] = 24.0
    """Hours after which a stored blob that no message names is deleted."""
    audit_retention_days: Annotated[float, Field(ge=0, le=36_500)] = 365.0
    """Days for which the audit keeps what staff did and what was removed; 0 for good."""


class ProcessSettings(Section):
    """What a process that serves makes of the machine."""

    large_pages: bool = False
    """Whether the interpreter's code is copied to pages of 2 MiB: some 5 % less processor time for 4 MiB a process.

    Linux, where transparent_hugepage/enabled isn't never. What looks for an interpreter by its file's code in memory
    finds none then: py-spy (with the image's Python), perf's names of functions, profilers by eBPF. Where large pages
    can't be had, the process says why and goes on.
    """


class LoggingSettings(Section):
    """What is written to standard error."""

    format: Literal["auto", "json", "console"] = "auto"
    """json; console (for people); auto is console on a terminal and json elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is written."""


class Pop3Settings(Section):
    """What clients are told."""

    list_utf8: bool = False
    """Whether CAPA lists UTF8 (RFC 6856 §2); some clients hang when it does, the command works anyhow."""
    failure_delay: Annotated[float, Field(ge=0, le=30)] = 1.0
    """Seconds that a refused login waits for its answer, and up to half as long again, by chance."""
    implementation: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")] = "Poplar"
    """What CAPA's IMPLEMENTATION says (RFC 2449 §6.9)."""
