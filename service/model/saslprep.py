"""SASLprep: the form in which passwords are compared.

Owns RFC 4013's profile of stringprep, over the standard library's tables. Refuses to know
whether a string is a name or a password.
RFC 4013 §2, RFC 4616 §2, RFC 6856 §2.2.
"""

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepare(text: str) -> str:
    """`text` prepared as a query string. Raises ValueError when it is prohibited or becomes empty.

    RFC 4616 §2: "if preparation fails or results in an empty string, verification SHALL fail."
    """
    prepared = mapped(text)
    if not prepared.isascii():
        _check_directions(prepared)
    return prepared


def mapped(text: str) -> str:
    """The same, whatever its directions. Raises ValueError likewise."""
    if text.isascii() and text.isprintable() and text:
        return text
    kept = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", kept)
    if not prepared:
        raise ValueError("empty after preparation")
    if any(prohibited(c) for c in prepared for prohibited in _PROHIBITED):
        raise ValueError("prohibited character")
    return prepared


def _check_directions(text: str) -> None:
    """RFC 3454 §6: text with right-to-left characters has no left-to-right ones, and starts and ends with one."""
    right_to_left = [stringprep.in_table_d1(c) for c in text]
    if not any(right_to_left):
        return
    if any(map(stringprep.in_table_d2, text)) or not (right_to_left[0] and right_to_left[-1]):
        raise ValueError("mixed directions")
