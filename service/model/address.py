"""Mail addresses as Poplar compares and stores them.

Owns normalisation: the domain in lower-case A-labels, the local part in NFC and lower case,
and the plus-tag. Refuses to know which addresses exist.
RFC 5321 §4.1.2, RFC 6531 §3.3, RFC 5233 §1 (sub-addressing).
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_OCTETS = 255
MOST_CHARACTERS = 2 * (MAX_LOCAL_OCTETS + 1 + MAX_DOMAIN_OCTETS)
"""A longer text is refused unread: to compose its characters and to write its labels in ASCII takes time by the square.

A local part has 96 characters at most, as three that are composed into one take two octets. A domain has more than are
left only where hundreds of its letters are the same few, each with two accents written apart.
"""
PARSED = 64
"""Addresses that are remembered: a login looks at its name four times, with those of other sessions in between."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f]")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class Address:
    """A normalised `local@domain`; `tag` is what stood after `+`, as it was written."""

    local: str
    domain: str
    tag: str = ""

    @property
    def base(self) -> str:
        """The address without its tag: the name of a maildrop or alias."""
        return f"{self.local}@{self.domain}"

    def __str__(self) -> str:
        """The whole address, tag included."""
        return f"{self.local}+{self.tag}@{self.domain}" if self.tag else f"{self.local}@{self.domain}"


@lru_cache(PARSED)
def parse_address(text: str) -> Address:
    """The normalised address in `text`.

    Raises ValueError when it has no domain, an empty part, a control character or space,
    or a part over its limit in octets (RFC 5321 §4.5.3.1).
    """
    _check_length(text)
    whole, at, domain = text.rpartition("@")
    if not at or not whole or not domain:
        raise ValueError("an address has the form local@domain")
    if _FORBIDDEN.search(text):
        raise ValueError("an address has no control characters or spaces")
    # Lower case first: some small letters have a composed form where their capitals have none.
    normal = unicodedata.normalize("NFC", whole.lower())
    local, _, tag = normal.partition("+")
    if not local:
        raise ValueError("an address has a local part before its tag")
    if len(normal.encode()) > MAX_LOCAL_OCTETS:
        raise ValueError(f"a local part has at most {MAX_LOCAL_OCTETS} octets")
    return Address(local, parse_domain(domain), tag)


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"an address or a domain has at most {MOST_CHARACTERS} characters")


def compared(name: str) -> str:
    """`name` in the form in which names are equal, tag included, since a name with a tag is nobody's."""
    try:
        return str(parse_address(name))
    except ValueError:
        return name


def parse_domain(text: str) -> str:
    """The domain in lower-case A-labels (RFC 5890). Raises ValueError when it isn't one."""
    _check_length(text)
    try:
        ascii_form = text.lower() if text.isascii() else _a_labels(text)
    except UnicodeError as error:
        raise ValueError("not a domain name") from error
    if len(ascii_form) > MAX_DOMAIN_OCTETS or not _DOMAIN.fullmatch(ascii_form):
        raise ValueError("not a domain name")
    return ascii_form


def _a_labels(text: str) -> str:
    """The domain as the A-labels under which it is registered. Raises UnicodeError when IDNA 2008 has no such domain.

    RFC 5894 §7.2: sharp s and final sigma are letters of their own, and of two domains that differ in one, whose owners
    may be two, Python's codec makes one, as it knows IDNA 2003 alone. RFC 5895 §2: capitals and full-width letters are
    read as small and narrow ones. A label in ASCII is taken as in a domain that is all ASCII.
    """
    # Its tables are a few megabytes, of which who has no such domains needs none.
    import idna

    labels = idna.uts46_remap(text, std3_rules=False).split(".")
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels)
