"""Logins of Poplar's own processes: each joins one group role and has its rights and no others.

Owns the making of a login for the demo and for self-hosted use. Refuses to know which process
uses it. The password leaves this process only as a SCRAM verifier (RFC 5803 §1), so that no
server log can show it.
"""

import base64
import hashlib
import hmac
import secrets

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.postgres.errors import VENDOR_ERRORS, refusal_of

GROUPS = ("poplar_front", "poplar_lmtp", "poplar_sweep", "poplar_api")
ITERATIONS = 4096


async def create_login(dsn: str, login: str, password: str, group: str) -> None:
    """Make `login` a member of `group`, or give it this password if it exists; `dsn` may create roles.

    Raises Refusal: INVALID for an unknown group, UNAVAILABLE when Postgres refuses.
    """
    if group not in GROUPS:
        raise Refusal(Reason.INVALID, f"no such group of logins: {group}")
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn, timeout=10)
        try:
            async with connection.transaction():
                await _create(connection, login, scram_verifier(password), group)
        finally:
            await connection.close(timeout=5)
    except VENDOR_ERRORS as error:
        raise refusal_of(error) from error


async def _create(connection: "asyncpg.Connection[asyncpg.Record]", login: str, verifier: str, group: str) -> None:
    verb = await connection.fetchval(
        "SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1) THEN 'ALTER' ELSE 'CREATE' END", login
    )
    for form, names in (
        (f"{verb} ROLE %I LOGIN PASSWORD %L", (login, verifier)),
        ("GRANT %I TO %I", (group, login)),
    ):
        await connection.execute(await connection.fetchval("SELECT format($1, $2::text, $3::text)", form, *names))


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What Postgres stores for `password`: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`."""
    salt = salt or secrets.token_bytes(16)
    # RFC 5802 §3: "SaltedPassword := Hi(Normalize(password), salt, i)"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode("ascii") for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{text[0]}${text[1]}:{text[2]}"
