"""The arguments of MAIL and RCPT: a path in angle brackets, then parameters.

Owns their grammar. Refuses to know which parameters a command understands and which addresses exist.
RFC 5321 §4.1.2 (paths, quoted local parts, source routes), §4.1.1.11 (parameters), RFC 6531 §3.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.model.address import Address, parse_address

MAX_PATH_OCTETS = 512

_ARGUMENT = re.compile(
    r" *<"
    r"(?:@[^:<>\"\s]*:)?"  # a source route
    r"(?P<path>(?:\"(?:[^\"\\]|\\.)*\"|[^\"<>\s])*)"
    r">(?: +(?P<parameters>.*))?"
)
_QUOTED = re.compile(r"\"(?P<local>(?:[^\"\\]|\\.)*)\"@(?P<domain>.+)")
_PAIR = re.compile(r"\\(.)")
_PARAMETER = re.compile(r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[^\s=]+))?")


class Malformed(ValueError):
    """The argument doesn't follow the grammar."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A path as it was written, without brackets and source route; parameters by upper-case keyword, `""` if valueless.

    RFC 5321 §4.1.2, of a source route: "MUST BE accepted, SHOULD NOT be generated, and SHOULD be ignored."
    """

    path: str
    parameters: Mapping[str, str]


def parse_argument(argument: str, keyword: str) -> Argument:
    """The path after `keyword` (`FROM:` or `TO:`, in any case) and the parameters. Raises Malformed."""
    if argument[: len(keyword)].upper() != keyword:
        raise Malformed
    found = _ARGUMENT.fullmatch(argument, len(keyword))
    if found is None or len(found["path"].encode()) > MAX_PATH_OCTETS:
        raise Malformed
    return Argument(found["path"], _parameters(found["parameters"] or ""))


def _parameters(text: str) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise Malformed
        # Python's smtplib says SMTPUTF8 twice, so repeating one with the same value is forgiven.
        if parameters.setdefault(found["keyword"].upper(), found["value"] or "") != (found["value"] or ""):
            raise Malformed
    return parameters


def is_reverse_path(path: str) -> bool:
    """Whether `path` may be a sender: empty, or a local part and a domain.

    RFC 5321 §4.5.5: "There are several types of notification messages that are required [...] to be sent with a null
    reverse-path".
    """
    local, at, domain = path.rpartition("@")
    return not path or bool(local and at and domain)


def forward_address(path: str, host: str) -> Address:
    """The address that `path` names; the bare `postmaster` is the one of `host`. Raises ValueError if it is none."""
    # RFC 5321 §4.5.1: "Any system that includes an SMTP server supporting mail relaying or delivery MUST
    # support the reserved mailbox "postmaster" as a case-insensitive local name."
    if path.lower() == "postmaster":
        return parse_address(f"postmaster@{host}")
    quoted = _QUOTED.fullmatch(path)
    if quoted is None:
        return parse_address(path)
    # RFC 5321 §4.1.2: "all quoted forms MUST be treated as equivalent", and so is the plain one.
    return parse_address(_PAIR.sub(r"\1", quoted["local"]) + "@" + quoted["domain"])
