"""What a session of POP3 leaves in the metrics that service levels are judged by, and in the log. RFC 5034 §4."""

import base64

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.mail.scram import ScramChallenges
from service.model.refusal import Reason, Refusal
from service.net.admission import Admission
from tests.mail.house import House
from tests.net.front import Front
from tests.net.wire import Wire

TEXT = b"Subject: a\r\n\r\nb\r\n"


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


@pytest.mark.parametrize(("places", "greeted"), [(0, 0), (1, 1)])
async def test_only_who_is_greeted_counts_as_greeted(places: int, greeted: int) -> None:
    front = Front(await House().furnish(), admission=Admission(places))
    before = value("poplar_greeting_seconds_count", listener="test")
    async with front.listening():
        wire = await Wire.to(front.port)
        assert (await wire.line()).startswith(b"+OK" if greeted else b"-ERR [SYS/TEMP]")
        wire.close()
    assert value("poplar_greeting_seconds_count", listener="test") == before + greeted
