"""A list of maildrops as comma-separated values, line by line.

Owns the columns and what a cell may hold: a bad line becomes a refusal of its own, and never takes others with it. So
each line is read by itself, and a quoted cell can't hold a line end. Refuses to repeat a secret in a refusal.
RFC 4180 §2 (the format).
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from service.mail.batches import MaildropRow
from service.mail.bulk import Entry
from service.mail.naming import maildrop_address, plainly
from service.model.account import Status
from service.model.policy import PolicyValue
from service.model.policy_table import POLICY_NAMES, RULES, check_policy
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential

PLAIN = ("address", "password", "verifier", "status", "aliases")
COLUMNS = (*PLAIN, *POLICY_NAMES)
LONGEST = 64 * 1024
"""Octets of a line."""
MOST_SHOWN = 100
"""Characters of a bad line's address that are told."""
_BETWEEN = re.compile(r"[;\s]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines become entries."""

    adopted: Callable[[str, str], NewCredential]
    """A credential by a verifier and a label. Raises Refusal(INVALID)."""
    label: str

    def entries(self, file: BinaryIO) -> Iterator[Entry]:
        """Every line but the first, which names the columns. Raises Refusal(INVALID) when it doesn't."""
        columns: Sequence[str] | None = None
        for number, octets in enumerate(_lines(file), 1):
            if columns is None:
                columns = _columns(octets)
            elif octets.strip():
                yield self._entry(number, octets, columns)

    def _entry(self, number: int, octets: bytes, columns: Sequence[str]) -> Entry:
        address = ""
        try:
            cells = _cells(octets, columns)
            address = _shown(cells["address"])
            row, password = self._row(cells), cells.get("password") or None
        except Refusal as refusal:
            return Entry(number, address, refusal, octets=len(octets))
        return Entry(number, address, row, password, self.label, len(octets))

    def _row(self, cells: Mapping[str, str]) -> MaildropRow:
        verifier = cells.get("verifier")
        if verifier and cells.get("password"):
            raise Refusal(Reason.INVALID, "a line has a password or a verifier, not both")
        aliases = tuple(map(maildrop_address, filter(None, _BETWEEN.split(cells.get("aliases", "")))))
        return MaildropRow(
            maildrop_address(cells["address"]),
            _status(cells.get("status")),
            _policy(cells),
            tuple(dict.fromkeys(aliases)),
            self.adopted(verifier, self.label) if verifier else None,
        )


def _shown(text: str) -> str:
    """A cell as it may stand on a terminal, whatever somebody put into it."""
    return "".join(each if each.isprintable() else "?" for each in text[:MOST_SHOWN])


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines, of which the rest of one that is too long is left out."""
    while line := file.readline(LONGEST):
        rest = line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST)
        yield line


def _columns(octets: bytes) -> Sequence[str]:
    names = [name.strip().lower() for name in _split(octets.removeprefix(b"\xef\xbb\xbf"))]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "address" not in names or len(set(names)) < len(names):
        wrong = f"there is no column {unknown[0]!r}" if unknown else "a column is missing or named twice"
        raise Refusal(Reason.INVALID, f"line 1: {wrong}; it names address, and once each some of {', '.join(COLUMNS)}")
    return names


def _cells(octets: bytes, columns: Sequence[str]) -> Mapping[str, str]:
    cells = _split(octets)
    if len(cells) != len(columns):
        raise Refusal(Reason.INVALID, f"it has {len(cells)} cells for {len(columns)} columns")
    return {name: _trimmed(name, cell) for name, cell in zip(columns, cells, strict=True)}


def _trimmed(name: str, cell: str) -> str:
    """A cell without the spaces around it, unless it is a password: there they count, except in an empty one."""
    # RFC 4180 §2: "Spaces are considered part of a field and should not be ignored."
    trimmed = cell.strip()
    return cell if name == "password" and trimmed else trimmed


def _split(octets: bytes) -> list[str]:
    if len(octets) == LONGEST:
        raise Refusal(Reason.INVALID, f"it is longer than {LONGEST} octets")
    try:
        return next(csv.reader([octets.decode("utf-8").rstrip("\r\n")], strict=True), [])
    except UnicodeDecodeError:
        raise Refusal(Reason.INVALID, "it isn't UTF-8") from None
    except csv.Error as error:
        raise Refusal(Reason.INVALID, f"it isn't CSV: {error}") from None


def _status(text: str | None) -> Status | None:
    with plainly():
        if text and text not in {status.value for status in Status}:
            raise ValueError("a status is active or suspended")
    return Status(text) if text else None


def _policy(cells: Mapping[str, str]) -> Mapping[str, PolicyValue]:
    with plainly():
        values = {name: RULES[name].parse(text) for name in POLICY_NAMES if (text := cells.get(name))}
        check_policy(values)
    return values
