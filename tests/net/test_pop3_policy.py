"""What the policy makes of DELE and of numbers, through a whole front end.

RFC 1939 §4 (numbers), §5 (DELE), §6 (UPDATE).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.model.policy import PolicyValue
from tests.mail.house import ADDRESS, SECRET, House
from tests.net.front import Front, read_multi_line, until
from tests.net.wire import Wire

TEXTS = (b"Subject: one\r\n\r\n1\r\n", b"Subject: two\r\n\r\n22\r\n", b"Subject: three\r\n\r\n333\r\n")


async def front_with(**policy: PolicyValue) -> Front:
    front = Front(await House().furnish(*TEXTS))
    front.house.provider.state.maildrops[front.house.key].policy.update(policy)
    return front


async def say(wire: Wire, line: bytes) -> bytes:
    await wire.send(line + b"\r\n")
    return await wire.line()


async def scan(wire: Wire) -> list[bytes]:
    await wire.send(b"LIST\r\n")
    return (await read_multi_line(wire))[1:]


@pytest.mark.parametrize(
    ("dele", "marked", "farewell", "left"),
    [
        ("remove", b"+OK", b"+OK Bye, 1 message removed", 2),
        ("undo", b"+OK", b"+OK Bye, 1 message removed", 2),
        ("keep", b"+OK", b"+OK Bye, 1 message kept", 3),
        ("refuse", b"-ERR Messages may not be removed here", b"+OK Bye", 3),
    ],
)
async def test_g3_dele_means_what_the_policy_says_and_quit_tells_the_truth(
    dele: str, marked: bytes, farewell: bytes, left: int
) -> None:
    front = await front_with(dele=dele)
    async with front.listening():
        wire = await front.logged_in()
        assert await say(wire, b"DELE 2") == marked
        listed = await scan(wire)
        assert (b"2 20" in listed) is (dele == "refuse")
        assert await say(wire, b"QUIT") == farewell
        again = await front.logged_in()
        assert len(await scan(again)) == left
        assert await say(again, b"QUIT") == b"+OK Bye"
    assert [e.action for _, e in front.house.provider.state.audit] == ["messages.remove"] * (left == 2)


async def test_g9_newest_first_turns_numbers_and_nothing_else() -> None:
    front = await front_with(order="newest")
    async with front.listening():
        wire = await front.logged_in()
        assert await say(wire, b"STAT") == b"+OK 3 %d" % sum(map(len, TEXTS))
        assert await scan(wire) == [b"%d %d" % (n, len(text)) for n, text in enumerate(reversed(TEXTS), 1)]
        for number, text in enumerate(reversed(TEXTS), 1):
            await wire.send(b"RETR %d\r\n" % number)
            assert b"".join(line + b"\r\n" for line in (await read_multi_line(wire))[1:]) == text
        assert await say(wire, b"DELE 1") == b"+OK"
        assert await say(wire, b"QUIT") == b"+OK Bye, 1 message removed"
        assert await scan(await front.logged_in()) == [b"1 20", b"2 19"]


async def test_g7_a_unique_id_is_the_same_whichever_message_is_number_one() -> None:
    front = await front_with()
    found = []
    async with front.listening():
        for order in ("oldest", "newest"):
            front.house.provider.state.maildrops[front.house.key].policy["order"] = order
            wire = await front.logged_in()
            await wire.send(b"UIDL\r\n")
            found.append([line.split()[1] for line in (await read_multi_line(wire))[1:]])
            await say(wire, b"QUIT")
    assert found[0] == found[1][::-1]


async def retrieve(wire: Wire, number: int) -> None:
    await wire.send(b"RETR %d\r\n" % number)
    await read_multi_line(wire)


def retrieved(front: Front) -> list[int]:
    rows = front.house.provider.state.messages[front.house.key]
    return [sequence for sequence, row in rows.items() if row.retrieved_at]


async def test_r27_what_retr_brought_goes_with_that_quit_where_nothing_may_be_left() -> None:
    front = await front_with(retrieved_days=0)
    async with front.listening():
        wire = await front.logged_in()
        await retrieve(wire, 2)
        await wire.send(b"TOP 3 99999999\r\n")
        await read_multi_line(wire)
        assert await say(wire, b"STAT") == b"+OK 3 %d" % sum(map(len, TEXTS))
        assert await say(wire, b"QUIT") == b"+OK Bye, 1 message removed"
        assert await scan(await front.logged_in()) == [b"1 19", b"2 23"]


@pytest.mark.parametrize("days", [0, 14])
async def test_r27_g2_a_session_that_ends_without_quit_retrieved_nothing(days: int) -> None:
    front = await front_with(retrieved_days=days)
    async with front.listening():
        wire = await front.logged_in()
        await retrieve(wire, 2)
        wire.close()
        await until(lambda: not len(front.house.leases))
        assert len(await scan(await front.logged_in())) == 3
    assert retrieved(front) == []


@pytest.mark.parametrize(("dele", "noted"), [("remove", [1]), ("keep", [1, 2]), ("refuse", [])])
async def test_only_a_session_that_may_remove_starts_the_days_of_what_it_retrieved(dele: str, noted: list[int]) -> None:
    front = await front_with(retrieved_days=14, dele=dele)
    async with front.listening():
        wire = await front.logged_in()
        await retrieve(wire, 1)
        await retrieve(wire, 2)
        await say(wire, b"DELE 2")
        await say(wire, b"QUIT")
    assert retrieved(front) == noted


async def test_without_such_a_policy_a_quit_that_removes_nothing_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front = await front_with()

    async def unexpected(*_: object) -> None:
        raise AssertionError("asked of the index")

    monkeypatch.setattr(front.house.index, "remove", unexpected)
    async with front.listening():
        wire = await front.logged_in()
        await retrieve(wire, 1)
        assert await say(wire, b"QUIT") == b"+OK Bye"


@pytest.mark.parametrize("name", [ADDRESS, f"recent:{ADDRESS}"])
async def test_g9_a_session_that_sees_a_part_counts_lists_and_removes_in_that_part_alone(name: str) -> None:
    front = await front_with(shown_days=7) if name == ADDRESS else await front_with()
    rows = front.house.provider.state.messages[front.house.key]
    for row, days in zip(rows.values(), (1, 40, 2), strict=True):
        row.message = replace(row.message, received=datetime.now(UTC) - timedelta(days=days))
    async with front.listening():
        wire = await front.client()
        assert (await say(wire, b"USER " + name.encode())).startswith(b"+OK")
        octets = len(TEXTS[0]) + len(TEXTS[2])
        ready = b"+OK Maildrop locked and ready, 2 messages (%d octets)" % octets
        assert await say(wire, b"PASS " + SECRET.encode()) == ready
        assert await say(wire, b"STAT") == b"+OK 2 %d" % octets
        assert await scan(wire) == [b"1 19", b"2 23"]
        await wire.send(b"RETR 2\r\n")
        assert (await read_multi_line(wire))[1] == b"Subject: three"
        assert [await say(wire, b"DELE %d" % n) for n in (1, 2, 3)] == [b"+OK", b"+OK", b"-ERR No such message"]
        assert await say(wire, b"QUIT") == b"+OK Bye, 2 messages removed"
    assert [sequence for sequence, row in rows.items() if row.removed_at is None] == [2]
