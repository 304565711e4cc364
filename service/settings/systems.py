"""The systems Poplar keeps its data in: Postgres, Redis, object storage.

Owns how each is reached and how long it may take. Refuses to know what is kept there.
Each field's docstring is what `poplar settings --explain` says of it.
"""

from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr, field_validator, model_validator

from service.mail.ports import LEASE_SECONDS, RENEW_EVERY
from service.settings.section import Count, CountOrNone, Seconds, SecretUrl, Section
from service.settings.urls import check_login, ports_are_numbers

SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
Role = Literal["front", "lmtp", "sweep", "api", "owner"]


def _with_scheme(url: str, schemes: tuple[str, ...]) -> None:
    if urlsplit(url).scheme not in schemes:
        raise ValueError(f"must be a URL that begins with one of: {', '.join(f'{scheme}://' for scheme in schemes)}")


def _with_login(url: str, schemes: tuple[str, ...]) -> None:
    """The same for a URL that may hold a password."""
    check_login(url)
    _with_scheme(url, schemes)


def _can_be_read(url: str) -> None:
    """What asyncpg would say only once it connects."""
    if not ports_are_numbers(url):
        raise ValueError("must have a number as each port")
    try:
        parameters = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise ValueError("must have parameters of the form name=value behind its '?'") from None
    if not {*parameters.get("sslmode", ())} <= SSL_MODES:
        raise ValueError(f"must have an sslmode that is one of: {', '.join(sorted(SSL_MODES))}")


class DatabaseSettings(Section):
    """Postgres."""

    url: SecretUrl = SecretUrl("postgresql://poplar@localhost:5432/poplar")
    """URL of the primary, used by every role that has no URL of its own."""
    front_url: SecretUrl | None = None
    """URL with the login of the POP3 front ends, which may read accounts and remove messages."""
    lmtp_url: SecretUrl | None = None
    """URL with the login of LMTP, which may read accounts and add messages."""
    sweep_url: SecretUrl | None = None
    """URL with the login of the sweep."""
    api_url: SecretUrl | None = None
    """URL with the login of provisioning: tenants, domains, maildrops and credentials."""
    owner_url: SecretUrl | None = None
    """URL with the login that owns the schema; `poplar migrate` alone uses it."""
    connections: Count = 10
    """Connections at most by each process; they are made when needed."""
    deadline: Seconds = 10.0
    """Seconds that one call may take, waiting for a connection and repetitions included."""
    attempt: Seconds = 4.0
    """Seconds that one attempt of a call may take."""
    statement_cache: bool = True
    """Whether statements stay prepared; false behind a pooler that shares connections between statements."""
    server_limits: bool = True
    """Whether time limits are sent at connect; false behind a pooler that refuses start-up parameters."""

    @field_validator("url", "front_url", "lmtp_url", "sweep_url", "api_url", "owner_url")
    @classmethod
    def _is_postgres(cls, value: SecretUrl | None) -> SecretUrl | None:
        if value is not None:
            _with_login(value.get_secret_value(), ("postgresql", "postgres"))
            _can_be_read(value.get_secret_value())
        return value

    def url_for(self, role: Role) -> str:
        """The URL, password included, with which this role logs in."""
        own: SecretUrl | None = getattr(self, f"{role}_url")
        return (own or self.url).get_secret_value()


class RedisSettings(Section):
    """Redis or Valkey: leases of maildrops and the register of live sessions."""

    url: SecretUrl = SecretUrl("redis://localhost:6379/0")
    """URL: redis://, rediss://, unix://, redis+sentinel://host,host/service/db or redis+cluster://host,host."""
    deadline: Seconds = 0.5
    """Seconds that one call may take; after that the login goes on, guarded by the fence alone."""
    lease_seconds: Seconds = LEASE_SECONDS
    """Seconds for which a maildrop stays held by a session whose process died."""
    renew_every: Seconds = RENEW_EVERY
    """Seconds between two renewals of all leases of a process."""

    @field_validator("url")
    @classmethod
    def _is_redis(cls, value: SecretUrl) -> SecretUrl:
        schemes = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
        _with_login(value.get_secret_value(), schemes)
        return value

    @model_validator(mode="after")
    def _lease_outlives_a_missed_renewal(self) -> "RedisSettings":
        if self.renew_every * 2 > self.lease_seconds:
            raise ValueError(
                "renew_every must be at most half of lease_seconds, so that one missed renewal loses nothing"
            )
        return self


class ObjectStoreSettings(Section):
    """Object storage: the messages themselves."""

    url: str = "file:///var/lib/poplar/blobs"
    """URL: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///directory, memory:// (tests)."""
    more_urls: tuple[str, ...] = ()
    """URLs of further buckets with the same keys; each tenant's mail goes to one of all. See read_urls to add one."""
    read_urls: tuple[str, ...] = ()
    """URLs of buckets in which mail is looked for and none is put: for one update before more_urls, or until empty."""
    endpoint: str | None = None
    """URL of an S3-compatible service, when it isn't the vendor's own."""
    region: str | None = None
    """Region of the bucket."""
    account: str | None = None
    """Name of Azure's storage account, which az:// needs; without it the access key is taken for the name."""
    access_key: SecretStr | None = None
    """Access key; without it the usual credentials of the machine or pod are used, as gs:// always does."""
    secret_key: SecretStr | None = None
    """Secret key that belongs to the access key."""
    path_style: bool = True
    """Whether the bucket stands in the path of a request rather than in the host's name."""
    allow_http: bool = False
    """Whether the endpoint may be reached without TLS."""
    connect_timeout: Seconds = 2.0
    """Seconds until a connection must stand."""
    deadline: Seconds = 10.0
    """Seconds that one request, or one part of a long one, may take, its repetitions included."""
    first_octets: Seconds = 4.5
    """Seconds for which the store may give nothing before RETR and TOP are refused, repetitions included."""
    retries: CountOrNone = 2
    """How often a failed request is repeated."""
    checksum: bool = True
    """Whether each upload carries a SHA-256 that the service verifies and keeps (S3)."""

    @field_validator("url", "endpoint")
    @classmethod
    def _holds_no_password(cls, value: str | None) -> str | None:
        if value and "@" in urlsplit(value).netloc:
            raise ValueError("must not hold a password: set access_key and secret_key instead")
        return value

    @field_validator("more_urls", "read_urls")
    @classmethod
    def _are_stores(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cls._is_store(str(cls._holds_no_password(url))) for url in value)

    @model_validator(mode="after")
    def _differ(self) -> "ObjectStoreSettings":
        if len({self.url, *self.further_urls}) <= len(self.further_urls):
            raise ValueError("more_urls and read_urls must name each bucket once, and not the one of url")
        return self

    @property
    def further_urls(self) -> tuple[str, ...]:
        """All buckets but the first."""
        return self.more_urls + self.read_urls

    @field_validator("url")
    @classmethod
    def _is_store(cls, value: str) -> str:
        _with_scheme(value, ("s3", "gs", "az", "file", "memory"))
        parts = urlsplit(value)
        if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
            raise ValueError("must be file:/// and the whole path of a directory")
        if parts.scheme in {"s3", "gs", "az"} and not parts.netloc:
            raise ValueError(f"must name a bucket: {parts.scheme}://bucket")
        return value

    @model_validator(mode="after")
    def _keys_come_together(self) -> "ObjectStoreSettings":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key must be set together")
        return self

    @model_validator(mode="after")
    def _each_cloud_knows_who_asks(self) -> "ObjectStoreSettings":
        schemes = {urlsplit(url).scheme for url in (self.url, *self.further_urls)}
        if "az" in schemes and not (self.account or self.access_key):
            raise ValueError("account must name the storage account of az://")
        if self.account and "az" not in schemes:
            raise ValueError("account is Azure's alone: only az:// takes it")
        if self.access_key and "gs" in schemes and not schemes & {"s3", "az"}:
            raise ValueError("access_key is not for gs://, which goes by the machine's or pod's own identity")
        return self

    @model_validator(mode="after")
    def _clear_text_is_meant(self) -> "ObjectStoreSettings":
        if (self.endpoint or "").startswith("http://") and not self.allow_http:
            raise ValueError("endpoint has no TLS: set allow_http to true if that is meant")
        return self
