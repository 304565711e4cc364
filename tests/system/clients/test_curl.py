"""curl asks for listings and tops as its users do, over STLS and implicit TLS.

RFC 1939 §5 (LIST) and §7 (TOP, UIDL), RFC 2384 (the URL's path is the message's number).
"""

from pathlib import Path

import pytest

from tests.system.clients.letters import DOTTED, EMPTY, HEADER_ALONE, PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.clients.program import Way
from tests.system.clients.programs import Curl

WAYS = pytest.mark.parametrize("way", [Way.STLS, Way.TLS])
LETTERS = (PLAIN, DOTTED, HEADER_ALONE, EMPTY)


def lines(*words: object) -> bytes:
    return b"".join(f"{number} {word}\r\n".encode() for number, word in enumerate(words, 1))


@WAYS
def test_curl_lists_octets_and_unique_ids(maildrop: Maildrop, home: Path, way: Way) -> None:
    messages = maildrop.fill(LETTERS)
    assert Curl().asked(home, maildrop, way, "").brought == [lines(*map(len, messages))]
    assert Curl().asked(home, maildrop, way, "", "UIDL").brought == [lines(*maildrop.unique_ids)]


@WAYS
@pytest.mark.parametrize("count", [0, 2, 99_999_999])
def test_curl_tops_a_message(maildrop: Maildrop, home: Path, way: Way, count: int) -> None:
    messages = maildrop.fill(LETTERS)
    for number, message in enumerate(messages, 1):
        header, _, body = message.partition(b"\r\n\r\n")
        wanted = header.removesuffix(b"\r\n") + b"\r\n\r\n" + b"".join(body.splitlines(keepends=True)[:count])
        assert Curl().asked(home, maildrop, way, "", f"TOP {number} {count}").brought == [wanted]
