"""Every transcript in tests/transcripts, replayed command by command, whole, octet by octet, and in random pieces.

RFC 2449 §6.6: pipelined or not, each command is answered in turn; RFC 1939 §10 is among the transcripts.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.protocol.pop3.capabilities import Surroundings
from tests.protocol.pop3.world import ALL, CLEAR, SCRAM, TLS, World

STATES = {"clear": CLEAR, "tls": TLS, "scram": SCRAM, "all": ALL}
FOLDER = Path(__file__).parents[2] / "transcripts"


@dataclass(frozen=True)
class Transcript:
    around: Surroundings
    one_by_one: bool
    exchanges: list[tuple[bytes, bytes]]
    """What the client sends, and what the server answers; the first is the greeting, to nothing."""

    def world(self) -> World:
        return World(self.around)

    @property
    def sent(self) -> bytes:
        return b"".join(sent for sent, _ in self.exchanges)

    @property
    def answered(self) -> bytes:
        return b"".join(answer for _, answer in self.exchanges[1:])


def read(path: Path) -> Transcript:
    lines = path.read_text(encoding="utf-8").split("\n")
    exchanges: list[tuple[bytes, bytes]] = [(b"", b"")]
    for line in lines:
        if line.startswith("C: "):
            exchanges.append((line[3:].encode() + b"\r\n", b""))
        elif line.startswith("S: "):
            sent, answer = exchanges[-1]
            exchanges[-1] = (sent, answer + line[3:].encode() + b"\r\n")
    notes = [line for line in lines if line.startswith("#")]
    states = [STATES[note.removeprefix("# state: ")] for note in notes if note.startswith("# state: ")]
    return Transcript(states[0], any("one by one" in note for note in notes), exchanges)


TRANSCRIPTS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.txt"))}
PIPELINED = {name: transcript for name, transcript in TRANSCRIPTS.items() if not transcript.one_by_one}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_is_reproduced_command_by_command(name: str) -> None:
    transcript = TRANSCRIPTS[name]
    world = transcript.world()
    assert world.session.greet() == transcript.exchanges[0][1]
    for sent, answer in transcript.exchanges[1:]:
        assert world.send(sent) == answer


@pytest.mark.parametrize("name", PIPELINED)
def test_a_transcript_is_reproduced_when_sent_whole(name: str) -> None:
    transcript = TRANSCRIPTS[name]
    assert transcript.world().send(transcript.sent) == transcript.answered


@pytest.mark.parametrize("name", PIPELINED)
def test_a_transcript_is_reproduced_octet_by_octet(name: str) -> None:
    transcript = TRANSCRIPTS[name]
    world = transcript.world()
    assert b"".join(world.send(bytes([octet])) for octet in transcript.sent) == transcript.answered


@pytest.mark.parametrize("name", PIPELINED)
def test_a_transcript_is_reproduced_when_split_at_any_octet(name: str) -> None:
    transcript = TRANSCRIPTS[name]
    for at in range(len(transcript.sent)):
        world = transcript.world()
        assert world.send(transcript.sent[:at]) + world.send(transcript.sent[at:]) == transcript.answered


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", PIPELINED)
def test_a_transcript_is_reproduced_in_random_pieces(name: str, seed: int) -> None:
    transcript, chance = TRANSCRIPTS[name], random.Random(seed)
    world, left, answer = transcript.world(), transcript.sent, b""
    while left:
        at = chance.randint(1, 40)
        answer += world.send(left[:at])
        left = left[at:]
    assert answer == transcript.answered


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 9
    assert all(len(transcript.exchanges) > 3 for transcript in TRANSCRIPTS.values())
