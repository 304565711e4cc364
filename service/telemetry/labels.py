"""The closed sets from which every label value comes (G17).

Owns the words that may stand in a metric's label; anything else becomes `other`, so that neither a
client's input nor a new tenant can make a series. Names of listeners come from the settings and are
few. Refuses to know Prometheus.
"""

from service.model.ending import Ending
from service.model.refusal import Reason

OTHER = "other"

STATES = frozenset({"authorization", "transaction", "update", "open"})
"""POP3's three states (RFC 1939 §3); an LMTP session is `open`."""

ENDS = frozenset(ending.value for ending in Ending)
"""How a session ended."""

VERBS = frozenset(
    {
        "USER", "PASS", "AUTH", "APOP", "STLS", "UTF8", "CAPA", "QUIT", "STAT", "LIST", "RETR", "DELE", "NOOP",
        "RSET", "TOP", "UIDL", "LANG",
    }
)  # fmt: skip
RESULTS = frozenset({"ok", "err", "cut"})

LMTP_VERBS = frozenset(
    {"LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "HELP", "QUIT", "STARTTLS", "HELO", "EHLO"}
)
LMTP_CODES = frozenset(
    {"214", "220", "221", "250", "252", "354", "421", "450", "451", "452", "454", "500", "501", "502", "503", "504",
     "550", "551", "552", "553", "554", "555"}
)  # fmt: skip

MECHANISMS = frozenset(
    {"USER", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2",
     "EXTERNAL"}
)  # fmt: skip
LOGIN_RESULTS = frozenset({"ok", "cancelled", "syntax", "no_tls", *(reason.value for reason in Reason)})

VERDICTS = frozenset({"hit", "miss"})
ENROLMENTS = frozenset({"added", "outrun", "refused"})
RENEWALS = frozenset({"replaced", "outrun", "refused"})

GUARDED = frozenset({"address", "network", "pair", "account", "tenant"})
"""Whom wrong passwords are counted against."""
JUDGED = frozenset({"shared", "own"})
HOLDS = frozenset({"delayed", "refused", "closed"})
FAILURES = frozenset({"new", "repeated", "unseen", "abandoned"})

LOCK_OUTCOMES = frozenset({"acquired", "in_use", "unavailable"})
USED = frozenset({"yes", "no"})
SWEPT = frozenset({"message", "blob", "orphan"})
RETRIEVALS = frozenset({"sent", "cut", *(reason.value for reason in Reason)})
DELIVERIES = frozenset({"stored", *(reason.value for reason in Reason)})

VENDORS = frozenset({"postgres", "redis", "objects", "passwords", "oidc"})
ROLES = frozenset({"front", "lmtp", "sweep", "api"})
POOL_USES = frozenset({"busy", "idle"})
STORE_OUTCOMES = frozenset({"ok", "refused", "failed"})
STORE_KINDS = frozenset(
    {"timeout", "connection", "denied", "read_only", "overload", "missing", "corrupt", "full", "protocol", "breaker"}
)

HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

TLS_VERSIONS = frozenset({"TLSv1.2", "TLSv1.3"})
REJECTIONS = frozenset({"untrusted", "proxy_header", "handshake", "full", "shed", "per_address", "exhausted"})

SHARED = frozenset(
    {
        *("hashing", "database", "domains", "store", "memory", "listings", "sessions", "loop", "delivery"),
        *("handshakes", "long_texts"),
    }
)
"""What tenants share in fair turns."""
BUDGETS = frozenset({"prefetch", "retrieval", "listings", "delivery", "delivery_first", "delivery_more"})
"""`delivery` is its two halves together: texts that only begin have the first, those that grow the other."""
LIMITS = BUDGETS | {"connections", "pool", "hashing"}


def closed(value: str, allowed: frozenset[str]) -> str:
    """`value` if it is in `allowed`, otherwise `other`."""
    return value if value in allowed else OTHER
