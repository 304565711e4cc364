"""Secrets that are like no other text, and the search for them in whatever a program leaves behind. G17.

Owns what counts as found: eight letters or digits of a secret in a row, as they are or in the codes that logs, URLs and
SASL use. So a secret's half is found too, such as what follows an @ that was taken for the end of a password.
"""

import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from re import findall

LEAST = 8
# What text is cut at, and codes are made for: spaces and what URLs, SQL, JSON and shells give a meaning to.
BETWEEN = " @/:'\"%&ö="


@dataclass(slots=True)
class Canaries:
    """Secrets by what they are for."""

    texts: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, between: str = BETWEEN) -> str:
        """A secret of two parts, each found by itself, and what stands between them."""
        return self.known(name, f"{_core()}{between}{_core()}")

    def known(self, name: str, text: str) -> str:
        """`text`, which is a secret from now on."""
        self.texts[name] = text
        return text

    def found_in(self, octets: bytes) -> list[str]:
        """The names of the secrets that can be read out of `octets`."""
        lower = octets.lower()
        return [name for name, text in self.texts.items() if any(_is_there(run, octets, lower) for run in _runs(text))]


def _core() -> str:
    # No code in which a run of digits and letters of one case could come about by chance.
    return "".join(secrets.choice("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789") for _ in range(14))


def _runs(text: str) -> Iterable[bytes]:
    return [run.encode() for run in findall(rf"[A-Za-z0-9]{{{LEAST},}}", text)]


def _is_there(run: bytes, octets: bytes, lower: bytes) -> bool:
    if run.lower() in lower or run.hex().encode() in lower:
        return True
    return any(code in octets for code in _in_base64(run))


def _in_base64(run: bytes) -> Iterator[bytes]:
    """The middle of `run` in base64, however far from the beginning it stands; alike in the alphabet for URLs."""
    for before in range(3):
        code = b64encode(b"\0" * before + run)
        # The first and last characters depend on what stands beside it.
        yield code[0 if before == 0 else 4 : -4]


def leaks(canaries: Canaries, outputs: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Which secrets are in which output."""
    return {name: found for name, octets in outputs.items() if (found := canaries.found_in(octets))}
