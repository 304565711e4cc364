"""How long a refusal takes, and what the log hears of it. RFC 3206 §6, G13."""

import time

import pytest
from structlog.testing import capture_logs

from service.net import pop3_performing
from service.net.pop3_delay import SPREAD, chance, rest_of_delay
from service.net.pop3_service import Pop3Options
from tests.mail.house import ADDRESS, SECRET, House
from tests.net.front import Front


@pytest.mark.parametrize("drawn", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("delay", [1.0, 0.3])
@pytest.mark.parametrize("whole", [0, 1, 2, 7])
def test_g13_the_time_of_a_refusal_tells_nothing_of_what_it_took(whole: int, delay: float, drawn: float) -> None:
    """However many passwords were tried, a guesser's pause included: the same answer for all within one delay."""
    spent = [(whole + part) * delay for part in (0.01, 0.1, 0.5, 0.9, 0.99)]
    answered = {round(each + rest_of_delay(each, delay, drawn), 9) for each in spent}
    assert answered == {round((whole + 1 + SPREAD * drawn) * delay, 9)}


def test_those_who_were_refused_together_hear_it_at_different_moments() -> None:
    draws = [chance() for _ in range(1_000)]
    by_tenths = [sum(tenth <= drawn * 10 < tenth + 1 for drawn in draws) for tenth in range(10)]
    # Each 100 but for chance: below 40 once in a thousand million times.
    assert sum(by_tenths) == 1_000
    assert min(by_tenths) > 40


def test_without_a_delay_nobody_waits() -> None:
    assert rest_of_delay(0.3, 0, 0.9) == 0


@pytest.mark.parametrize(("secret", "waits"), [("hunter2", 2), (SECRET, 0)])
async def test_a_refused_login_waits_for_what_was_drawn(
    monkeypatch: pytest.MonkeyPatch, secret: str, waits: int
) -> None:
    front = Front(await House().furnish(), options=Pop3Options(failure_delay=0.02))
    drawn: list[float] = []

    def half() -> float:
        drawn.append(0.5)
        return 0.5

    monkeypatch.setattr(pop3_performing, "chance", half)
    async with front.listening():
        for _ in range(2):
            wire = await front.client()
            began = time.monotonic()
            await wire.send(f"USER {ADDRESS}\r\nPASS {secret}\r\nQUIT\r\n".encode())
            await wire.rest()
            assert time.monotonic() - began >= (0.02 * (1 + SPREAD / 2) if waits else 0.0)
    assert len(drawn) == waits


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_the_log_says_who_was_refused_and_why_and_not_the_password() -> None:
    front = Front(await House().furnish())
    with capture_logs() as lines:
        async with front.listening():
            wire = await front.client()
            await wire.send(f"USER {ADDRESS}\r\nPASS hunter2\r\nQUIT\r\n".encode())
            await wire.rest()
    (refused,) = (line for line in lines if line["event"] == "login refused")
    assert (refused["name"], refused["cause"]) == (ADDRESS, "no credential matches")
    assert "hunter2" not in str(lines)


async def test_g17_a_password_that_was_typed_as_a_name_reaches_no_log() -> None:
    front = Front(await House().furnish())
    with capture_logs() as lines:
        async with front.listening():
            wire = await front.client()
            await wire.send(b"USER hunter2\r\nPASS x\r\nUSER hunter2@example.org\r\nPASS x\r\nQUIT\r\n")
            await wire.rest()
    assert [line["cause"] for line in lines if line["event"] == "login refused"] == ["no such account"] * 2
    assert "hunter2" not in str(lines)
