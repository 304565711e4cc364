"""Real mail programs get every octet, once, and remove what they got: over STLS and over implicit TLS.

RFC 1939 §3 (stuffing), §5 (RETR, DELE), §6 (UPDATE), §7 (TOP, UIDL), §11 (octets); RFC 2595 §4; RFC 8314 §3.1.
"""

from pathlib import Path

import pytest

from tests.system.clients.letters import PLAIN, Handed
from tests.system.clients.maildrop import Maildrop
from tests.system.clients.program import Program, Way
from tests.system.clients.programs import CLEAR, PRIVATE

BY_WAY = pytest.mark.parametrize(
    ("program", "way"), [pytest.param(program, way, id=f"{program.name}-{way.value}") for program, way in PRIVATE]
)


def expected(program: Program, letters: tuple[Handed, ...], messages: list[bytes]) -> list[bytes]:
    """What the program must have, in no order, of letters that are in the maildrop as `messages`."""
    return sorted(program.stored(letter, message) for letter, message in zip(letters, messages, strict=True))


@BY_WAY
def test_every_message_comes_octet_for_octet_and_only_once(
    program: Program, way: Way, maildrop: Maildrop, home: Path
) -> None:
    messages = maildrop.fill(program.letters)
    first = program.fetch(home, maildrop, way, keep=True)
    assert first.code == 0, first.said
    assert sorted(first.brought) == expected(program, program.letters, messages)
    second = program.fetch(home, maildrop, way, keep=True)
    assert (second.code, second.brought) == (0, []), second.said
    *_, newest = maildrop.fill([PLAIN])
    third = program.fetch(home, maildrop, way, keep=True)
    assert (third.code, third.brought) == (0, [program.stored(PLAIN, newest)]), third.said
    assert maildrop.messages == [*messages, newest]


@BY_WAY
def test_download_and_delete_empties_the_maildrop(program: Program, way: Way, maildrop: Maildrop, home: Path) -> None:
    messages = maildrop.fill(program.letters)
    done = program.fetch(home, maildrop, way, keep=False)
    assert done.code == 0, done.said
    assert sorted(done.brought) == expected(program, program.letters, messages)
    assert maildrop.stat == (0, 0)
    assert program.fetch(home, maildrop, way, keep=False).brought == []


@pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in CLEAR])
def test_no_program_gets_in_without_tls(program: Program, maildrop: Maildrop, home: Path) -> None:
    messages = maildrop.fill([PLAIN])
    done = program.fetch(home, maildrop, Way.CLEAR, keep=False)
    assert done.code != 0
    assert done.brought == []
    # curl sees for itself that no login is offered and sends neither name nor password; fetchmail keeps the text back.
    assert any(said in done.said for said in ("TLS required", "Login denied", "Authorization failure"))
    assert maildrop.messages == messages
