"""The rows of a provider's query, as credentials.

Owns the names of the columns and what values they may have. Refuses to know how the rows came. The query brings a row
for each password of the address, and none for an address that it doesn't know:

    verifier  text, in any form that `poplar credential import` accepts; null for somebody who has no password
    scram     text, optional: the password's keys in Postgres' form, SCRAM-SHA-256$iterations:salt$stored:server
    label     text, optional: what the password is called, such as a device

RFC 5803 §1.
"""

from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

from service.model.account import Credential
from service.model.address import Address
from service.model.outside import Stored
from service.model.refusal import Reason, Refusal

MOST_ROWS = 8
"""Each row is a password to be tried."""
KIND = "password"
_COLUMNS = {"verifier", "scram", "label"}


def values(parameters: Sequence[str], address: Address) -> list[str]:
    """What the query is given, in its order."""
    of = {"address": address.base, "local": address.local, "domain": address.domain}
    return [of[name] for name in parameters]


def stored(directory: str, rows: Sequence[Mapping[str, object]]) -> Stored | None:
    """What the rows say; None for none. Raises Refusal(UNAVAILABLE) for rows that say nothing clear."""
    if not rows:
        return None
    if len(rows) > MOST_ROWS:
        raise Refusal(Reason.UNAVAILABLE, f"directory {directory}: the query brings more than {MOST_ROWS} rows")
    columns = set(rows[0])
    if "verifier" not in columns or columns - _COLUMNS:
        known = ", ".join(sorted(columns))
        raise Refusal(Reason.UNAVAILABLE, f"directory {directory}: wants verifier (scram, label), has: {known}")
    return Stored(tuple(_credential(directory, row) for row in rows if row["verifier"] is not None))


def _credential(directory: str, row: Mapping[str, object]) -> Credential:
    verifier, scram = _text(directory, row, "verifier"), _text(directory, row, "scram")
    label = _text(directory, row, "label") or directory
    which = uuid5(NAMESPACE_URL, f"poplar-directory:{directory}:{label}")
    return Credential(which, KIND, verifier or "", label, None, scram, kept_outside=True)


def _text(directory: str, row: Mapping[str, object], column: str) -> str | None:
    value = row.get(column)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is not None and not isinstance(value, str):
        raise Refusal(Reason.UNAVAILABLE, f"directory {directory}: the column {column} is no text")
    return value
