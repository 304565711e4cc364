"""How long a refusal takes, and what the log hears of it. RFC 3206 §6, G13."""

import pytest
from structlog.testing import capture_logs

from service.net.pop3_delay import delay_by_chance, rest_of_delay
from tests.mail.house import ADDRESS, House
from tests.net.front import Front


@pytest.mark.parametrize("spent", [0.0, 0.03, 0.4, 0.999, 1.0, 1.7, 12.34])
def test_g13_a_refusal_takes_whole_delays_however_many_passwords_were_tried(spent: float) -> None:
    rest = rest_of_delay(spent, 1.0)
    assert 0 < rest <= 1
    assert (spent + rest) % 1 == pytest.approx(0, abs=1e-9) or (spent + rest) % 1 == pytest.approx(1)


def test_those_who_were_refused_together_hear_it_at_different_moments() -> None:
    delays = [delay_by_chance(1.0) for _ in range(1_000)]
    assert 1 <= min(delays) < 1.1
    assert 1.4 < max(delays) <= 1.5
    by_tenths = [sum(tenth <= (delay - 1) * 10 < tenth + 1 for delay in delays) for tenth in range(5)]
    # Each 200 but for chance: below 120 once in a thousand million times.
    assert min(by_tenths) > 120


def test_without_a_delay_nobody_waits() -> None:
    assert rest_of_delay(0.3, 0) == 0
    assert delay_by_chance(0) == 0


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
