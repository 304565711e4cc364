"""What an installation may say of its object storage beside the URL, in obstore's words.

Owns the deadlines: obstore itself would try ten times and for three minutes, far longer than a mail client waits.
Refuses to connect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class ObjectOptions:
    """Empty values are left to the vendor's usual places: environment, instance profile, workload identity."""

    endpoint: str = ""
    """The URL of an S3-compatible service."""
    region: str = ""
    account: str = ""
    """The name of Azure's storage account; without it `access_key` is the name."""
    access_key: str = ""
    """S3's access key id."""
    secret_key: str = field(default="", repr=False)
    """S3's secret access key, or the key of Azure's storage account."""
    virtual_hosted: bool = False
    """Whether the bucket is part of the host's name (S3)."""
    allow_http: bool = False
    checksum: bool = True
    """Whether each S3 upload carries a SHA-256 that the service verifies and keeps."""
    connect_timeout: float = 2.0
    deadline: float = 10.0
    """Seconds that one request may take, its retries included."""
    again_after: float = 2.25
    """Seconds after which a read for a client that has brought nothing is asked for once more, beside."""
    retries: int = 2
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further settings by obstore's names, such as `server_side_encryption` or `service_account`."""

    def config(self, scheme: str, bucket: str) -> dict[str, Any]:
        """The vendor's settings for this bucket."""
        named = self._named(scheme, bucket)
        return {name: value for name, value in named.items() if value not in {"", None}} | dict(self.extra)

    def client(self) -> dict[str, Any]:
        """How HTTP is spoken. One try gets half the deadline, so that a second one fits into it."""
        return {
            "allow_http": self.allow_http,
            "connect_timeout": timedelta(seconds=self.connect_timeout),
            "timeout": timedelta(seconds=self.deadline / 2),
        }

    def retry(self) -> dict[str, Any]:
        """When a request is repeated."""
        backoff = {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1), "base": 2}
        return {
            "max_retries": self.retries,
            "retry_timeout": timedelta(seconds=self.deadline),
            "backoff": backoff,
        }

    def _at(self, bucket: str) -> str:
        """The endpoint of a bucket: object_store leaves the bucket out of the path, and puts it before no host."""
        scheme, slashes, host = self.endpoint.partition("://")
        if not (host and self.virtual_hosted) or host.startswith(f"{bucket}."):
            return self.endpoint
        return f"{scheme}{slashes}{bucket}.{host}"

    def _named(self, scheme: str, bucket: str) -> dict[str, Any]:
        if scheme == "s3":
            return {
                "endpoint": self._at(bucket),
                "region": self.region,
                "access_key_id": self.access_key,
                "secret_access_key": self.secret_key,
                "virtual_hosted_style_request": self.virtual_hosted,
                "checksum_algorithm": "sha256" if self.checksum else None,
            }
        if scheme == "az":
            name = self.account or self.access_key
            return {"account_name": name, "account_key": self.secret_key, "endpoint": self.endpoint}
        return {}
