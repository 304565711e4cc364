"""What a Redis URL means.

    redis://[user:password@]host:port/db          rediss:// the same over TLS
    unix://[user:password@]/path/to/socket?db=0
    redis+sentinel://[user:password@]host:26379,host:26379/service/db
    redis+cluster://[user:password@]host:port,host:port

`rediss+sentinel` and `rediss+cluster` speak TLS. Options of redis-py follow as a query (`?ssl_ca_certs=...`);
`sentinel_username` and `sentinel_password` are the Sentinels' own. Owns the syntax; refuses to connect.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from redis.asyncio.connection import parse_url

SENTINEL_PORT = 26379
REDIS_PORT = 6379
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Target:
    """Where Redis is: `kind` is single, sentinel or cluster; `options` are redis-py's for a connection."""

    kind: str
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    tls: bool = False
    options: dict[str, object] = field(default_factory=dict, repr=False)
    sentinel_options: dict[str, object] = field(default_factory=dict, repr=False)


def parse_target(url: str) -> Target:
    """What `url` means. Raises ValueError, without the password in its text, when it means nothing."""
    parts = urlsplit(url)
    base, _, kind = parts.scheme.partition("+")
    if base not in {"redis", "rediss", "unix"} or kind not in {"", "sentinel", "cluster"} or (kind and base == "unix"):
        raise ValueError("a Redis URL begins with redis, rediss, unix, redis+sentinel or redis+cluster")
    if not kind:
        options = dict(parse_url(url))
        return Target("single", url, tls=base == "rediss", options=options)
    return _many(parts, base, kind)


def _many(parts: SplitResult, base: str, kind: str) -> Target:
    login, _, names = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if kind == "sentinel" and not service:
        raise ValueError("a redis+sentinel URL names the service: redis+sentinel://host:26379/service")
    if kind == "cluster":
        service, database = "", ""
    user = f"{login}@" if login else ""
    options = dict(parse_url(f"{base}://{user}unused/{database}?{parts.query}"))
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in _SENTINEL_OPTIONS if name in options}
    hosts = _hosts(names, SENTINEL_PORT if kind == "sentinel" else REDIS_PORT)
    return Target(kind, parts.geturl(), hosts, service, base == "rediss", options, own)


def _hosts(names: str, default: int) -> tuple[tuple[str, int], ...]:
    found = [urlsplit(f"//{name}") for name in names.split(",") if name]
    if not found or not all(part.hostname for part in found):
        raise ValueError("a Redis URL names at least one host")
    return tuple((part.hostname or "", part.port or default) for part in found)
