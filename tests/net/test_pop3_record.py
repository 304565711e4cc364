"""What a session of POP3 leaves in the metrics that service levels are judged by, and in the log. RFC 5034 §4."""

import base64
import socket

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.mail.events import Unheard
from service.mail.scram import ScramChallenges
from service.model.ending import Ending
from service.model.refusal import Reason, Refusal
from service.net.admission import Admission
from service.net.peer import Peer
from service.net.pop3_record import Record
from service.net.pop3_service import Pop3Options
from service.telemetry.labels import STATES
from tests.mail.house import ADDRESS, House
from tests.net.front import LOGIN, Front, read_multi_line, until
from tests.net.wire import Wire

TEXT = b"Subject: a\r\n\r\nb\r\n"
LONG = b"Subject: l\r\n\r\n" + (b"x" * 78 + b"\r\n") * 2000


def value(name: str, **chosen: str) -> float:
    return REGISTRY.get_sample_value(name, chosen) or 0.0


async def away(*_: object) -> None:
    raise Refusal(Reason.UNAVAILABLE, "told to be away")


async def test_a_login_with_scram_that_fails_at_its_look_up_counts_and_is_logged_as_a_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await House().furnish()
    front = Front(house, scram=ScramChallenges(house.provider.directory, b"x" * 32))
    monkeypatch.setattr(house.provider.directory, "find", away)
    first = base64.b64encode(b"n,,n=hunter2,r=nonce").decode()
    chosen = {"mechanism": "SCRAM-SHA-256", "result": "unavailable"}
    before = value("poplar_login_seconds_count", **chosen)
    with capture_logs() as lines:
        async with front.listening():
            wire = await front.client()
            await wire.send(f"AUTH SCRAM-SHA-256 {first}\r\nQUIT\r\n".encode())
            await wire.rest()
    assert value("poplar_login_seconds_count", **chosen) == before + 1
    (refused,) = (line for line in lines if line["event"] == "login refused")
    assert (refused["mechanism"], refused["client"], refused["reason"]) == ("SCRAM-SHA-256", "127.0.0.1", "unavailable")
    assert "hunter2" not in str(lines)


@pytest.mark.parametrize(("command", "fails"), [(b"RETR 1", 1), (b"TOP 1 0", 1), (b"LIST", 0)])
async def test_a_retrieval_whose_listing_cant_be_had_counts_as_one_that_failed(
    command: bytes, fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = Front(await House().furnish(TEXT))
    before = value("poplar_retrievals_total", outcome="unavailable")
    async with front.listening():
        wire = await front.logged_in()
        monkeypatch.setattr(front.house.index, "listing", away)
        await wire.send(command + b"\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        wire.close()
    assert value("poplar_retrievals_total", outcome="unavailable") == before + fails


async def test_a_connection_that_ends_before_its_session_began_is_not_counted_down() -> None:
    peer = Peer("192.0.2.1", 995, "unbegun")
    record = Record("unbegun", Unheard(), peer)
    record.ended(peer, Ending.FAULT, 0)
    states = {state: value("poplar_sessions", listener="unbegun", state=state) for state in STATES}
    assert states == dict.fromkeys(STATES, 0)
    assert value("poplar_session_seconds_count", listener="unbegun", end="fault") == 1


async def test_the_line_at_the_end_says_what_is_known_and_nothing_else() -> None:
    house = await House().furnish(TEXT)
    front = Front(house)
    said = LOGIN + b"STAT\r\nQUIT\r\n"
    with capture_logs() as lines:
        async with front.listening():
            for each in (said, b"QUIT\r\n"):
                wire = await front.client()
                await wire.send(each)
                await wire.rest()
    poll, stranger = (line for line in lines if line["event"] == "session ended")
    ids = poll.pop("session"), stranger.pop("session")
    assert ids[0] != ids[1]
    for line in (poll, stranger):
        assert 0 <= line["seconds"] == round(line.pop("seconds"), 3)
    octets_out = front.connections[0]._outlet.octets, front.connections[1]._outlet.octets
    texts = {"event": "session ended", "log_level": "info", "protocol": "pop3", "listener": "test", "end": "quit"}
    same = texts | {"client": "127.0.0.1"} | dict.fromkeys(("retrieved", "topped", "removed"), 0)
    account = {"tenant": "example", "address": ADDRESS, "maildrop": str(house.key.maildrop_id), "mechanism": "USER"}
    assert poll == same | account | {"commands": 4, "octets_in": len(said), "octets_out": octets_out[0]}
    assert stranger == same | {"commands": 1, "octets_in": 6, "octets_out": octets_out[1]}


@pytest.mark.parametrize(("places", "greeted"), [(0, 0), (1, 1)])
async def test_only_who_is_greeted_counts_as_greeted(places: int, greeted: int) -> None:
    front = Front(await House().furnish(), admission=Admission(places))
    before = value("poplar_greeting_seconds_count", listener="test")
    async with front.listening():
        wire = await Wire.to(front.port)
        assert (await wire.line()).startswith(b"+OK" if greeted else b"-ERR [SYS/TEMP]")
        wire.close()
    assert value("poplar_greeting_seconds_count", listener="test") == before + greeted


@pytest.mark.parametrize(("command", "texts"), [(b"RETR 1", [LONG]), (b"TOP 1 9999", [LONG]), (b"UIDL", [TEXT] * 2500)])
async def test_octets_are_counted_before_the_session_ends_and_each_once(command: bytes, texts: list[bytes]) -> None:
    """Who fetches much may stay for hours."""
    front = Front(await House().furnish(*texts))
    before = {way: value(f"poplar_octets_{way}_total", listener="test") for way in ("sent", "received")}
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(command + b"\r\n")
        await read_multi_line(wire)
        assert value("poplar_octets_sent_total", listener="test") > before["sent"] + 64 * 1024
        await wire.send(b"QUIT\r\n")
        await wire.rest()
    said = LOGIN + command + b"\r\nQUIT\r\n"
    assert value("poplar_octets_received_total", listener="test") == before["received"] + len(said)
    assert value("poplar_octets_sent_total", listener="test") == before["sent"] + front.connections[0]._outlet.octets


async def test_octets_of_a_long_message_are_counted_while_it_is_sent() -> None:
    front = Front(await House().furnish(LONG * 100), Pop3Options(failure_delay=0, buffered=4 << 20))
    before = value("poplar_octets_sent_total", listener="test")
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"RETR 1\r\n")
        await until(lambda: front.connections[0]._outlet.paused)
        assert value("poplar_octets_sent_total", listener="test") > before + (1 << 20)
        assert front.connections[0]._session.verb == "RETR"
        wire.close()


@pytest.mark.parametrize(("command", "texts"), [("RETR 1", [LONG * 100]), ("UIDL", [TEXT] * 2500)])
@pytest.mark.parametrize("leaves", [True, False])
async def test_a_response_that_breaks_off_at_the_client_counts_as_cut_and_as_no_fault(
    command: str, texts: list[bytes], leaves: bool
) -> None:
    front = Front(
        await House().furnish(*texts), Pop3Options(failure_delay=0, stall=60.0 if leaves else 0.05, buffered=1024)
    )
    chosen = {"verb": command.partition(" ")[0], "result": "cut"}
    before = value("poplar_command_seconds_count", **chosen), value("poplar_retrievals_total", outcome="cut")
    with capture_logs() as lines:
        async with front.listening():
            wire = await front.logged_in()
            transport = front.connections[0]._transport
            assert transport is not None
            # What the kernel holds counts as sent.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            await wire.send(command.encode() + b"\r\n")
            await until(lambda: front.connections[0]._outlet.paused)
            if leaves:
                wire.reset()
            await until(lambda: front.connections[0]._finished)
            wire.close()
    assert value("poplar_command_seconds_count", **chosen) == before[0] + 1
    assert value("poplar_retrievals_total", outcome="cut") == before[1]
    (line,) = (line for line in lines if line["event"] == "session ended")
    assert (line["commands"], line["end"]) == (3, "vanished" if leaves else "stalled")
