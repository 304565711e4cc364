"""Tenants, domains, maildrops, aliases and credentials, read in one prepared round trip each.

Owns how a name or an address finds its maildrop, and whose policy is in force. Refuses to know how a
credential is checked: it brings those that are active and in date, by Postgres' clock.
RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from dataclasses import replace
from typing import Any

from service.model.account import Account, Credential, MaildropKey, Recipient
from service.model.address import Address, parse_address
from service.model.policy import Announced, Policy
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, Row
from service.stores.postgres.policies import overrides, policy

FIND = """
SELECT found.*, sha256(convert_to(found::text, 'UTF8')) AS seen FROM (
    SELECT m.tenant_id, m.maildrop_id, t.name AS tenant, m.local || '@' || m.domain AS address,
           t.status = 'active' AND d.status = 'active' AND m.status = 'active' AS active, t.directory,
           t.policy || m.policy AS policy,
           c.ids, c.kinds, c.verifiers, c.labels, c.expiries, c.scrams, c.policies
    FROM domains d
    JOIN tenants t ON t.tenant_id = d.tenant_id AND t.status <> 'removed'
    JOIN maildrops m ON m.tenant_id = d.tenant_id AND m.domain = d.name AND m.local = $2 AND m.status <> 'removed'
    CROSS JOIN LATERAL (
        SELECT array_agg(credential_id) AS ids, array_agg(kind) AS kinds, array_agg(verifier) AS verifiers,
               array_agg(label) AS labels, array_agg(expires) AS expiries, array_agg(scram) AS scrams,
               array_agg(usable.policy) AS policies
        FROM (
            SELECT * FROM credentials c
            WHERE c.tenant_id = m.tenant_id AND c.maildrop_id = m.maildrop_id
              AND c.status = 'active' AND (c.expires IS NULL OR c.expires > now())
            ORDER BY c.created DESC, c.credential_id
        ) AS usable
    ) c
    WHERE d.name = $1 AND d.status <> 'removed'
) AS found
"""

RESOLVE = """
SELECT m.tenant_id, m.maildrop_id, t.name AS tenant, m.local || '@' || m.domain AS address, hit.stands_in,
       t.status = 'active' AND d.status = 'active' AND m.status = 'active' AS active,
       t.policy || m.policy AS policy,
       m.messages, m.octets
FROM domains d
JOIN tenants t ON t.tenant_id = d.tenant_id AND t.status <> 'removed'
CROSS JOIN LATERAL (
    SELECT maildrop_id, false AS stands_in, 0 AS rank FROM maildrops
    WHERE tenant_id = d.tenant_id AND domain = d.name AND local = $2 AND status <> 'removed'
    UNION ALL
    SELECT a.maildrop_id, a.local = '', CASE WHEN a.local = '' THEN 2 ELSE 1 END
    FROM aliases a JOIN maildrops o USING (tenant_id, maildrop_id)
    WHERE a.tenant_id = d.tenant_id AND a.domain = d.name AND a.local IN ($2, '') AND o.status <> 'removed'
    ORDER BY rank LIMIT 1
) hit
JOIN maildrops m ON m.tenant_id = d.tenant_id AND m.maildrop_id = hit.maildrop_id
WHERE d.name = $1 AND d.status <> 'removed'
"""

# A maildrop without a policy of its own has its tenant's: only tenants and overriding maildrops need be read.
ANNOUNCED = """
WITH policies AS (
    SELECT policy FROM tenants WHERE status <> 'removed'
    UNION ALL
    SELECT t.policy || m.policy FROM maildrops m JOIN tenants t USING (tenant_id)
    WHERE m.policy <> '{}' AND m.status <> 'removed' AND t.status <> 'removed'
), valued AS (
    SELECT coalesce((policy ->> 'login_delay')::bigint, 0) AS delay,
           least((policy ->> 'expire_days')::bigint, (policy ->> 'retrieved_days')::bigint) AS days
    FROM policies
)
SELECT coalesce(max(delay), 0) AS login_delay, coalesce(max(delay) <> min(delay), false) AS login_delay_varies,
       min(days) AS expire_days,
       count(DISTINCT days) > 1 OR count(days) BETWEEN 1 AND count(*) - 1 AS expire_varies
FROM valued
"""


class PostgresDirectory:
    """`ports.Directory` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Account | None:
        """The account whose address is `name`, or None; the round trip is made whatever `name` holds (G13)."""
        rows = await self._database.read(FIND, *login_address(name))
        return _account(rows[0]) if rows else None

    async def resolve(self, address: Address) -> Recipient:
        """Where mail for `address` goes. Raises Refusal: NO_RECIPIENT, SUSPENDED, OVER_QUOTA."""
        rows = await self._database.read(RESOLVE, address.domain, address.local)
        found = recipient(rows[0] if rows else None, address)
        if isinstance(found, Refusal):
            raise found
        return found

    async def announced(self) -> Announced:
        """What CAPA announces before login; one aggregate over tenants and overriding maildrops: cache it."""
        row = (await self._database.read(ANNOUNCED))[0]
        # RFC 2449 §6.5: "the server MUST announce in AUTHENTICATION state the largest value which could be set for
        # any user", and §6.7 asks the same of EXPIRE with the smallest value.
        return Announced(row["login_delay"], row["login_delay_varies"], row["expire_days"], row["expire_varies"])


def login_address(name: str) -> tuple[str, str]:
    """Domain and local part that `name` logs in with; empty ones, which nobody has, when it isn't an address.

    A tag names nobody: else one account would have names without number, and limits by name would not hold.
    """
    try:
        address = parse_address(name)
    except ValueError:
        return "", ""
    return ("", "") if "+" in name.rpartition("@")[0] else (address.domain, address.local)


def is_full(limits: Policy, messages: int, octets: int) -> bool:
    """Whether a maildrop that holds this much takes no further message."""
    return (limits.quota_messages is not None and messages >= limits.quota_messages) or (
        limits.quota_octets is not None and octets >= limits.quota_octets
    )


def recipient(row: Row | None, address: Address) -> Recipient | Refusal:
    """Who takes mail for `address`, by what RESOLVE found, or why nobody does."""
    if row is None:
        return Refusal(Reason.NO_RECIPIENT, f"no maildrop, alias or catch-all for {address.base}")
    limits = policy(row["policy"])
    if not row["active"]:
        return Refusal(Reason.SUSPENDED, f"{row['address']} is suspended")
    if is_full(limits, row["messages"], row["octets"]):
        return Refusal(Reason.OVER_QUOTA, f"{row['address']} holds {row['octets']} octets")
    delivered_to = address.base if row["stands_in"] else row["address"]
    return Recipient(_key(row), row["tenant"], row["address"], delivered_to, limits)


def _account(row: Row) -> Account:
    columns = (row[name] or () for name in ("ids", "kinds", "verifiers", "labels", "expiries", "scrams", "policies"))
    credentials = tuple(_credential(values) for values in zip(*columns, strict=True))
    facts = (row["tenant"], row["address"], row["active"], policy(row["policy"]))
    return Account(_key(row), *facts, credentials, row["directory"], seen=row["seen"])


def _credential(values: tuple[Any, ...]) -> Credential:
    *own, narrowing = values
    return replace(Credential(*own), policy=overrides(narrowing))


def _key(row: Row) -> MaildropKey:
    return MaildropKey(row["tenant_id"], row["maildrop_id"])
