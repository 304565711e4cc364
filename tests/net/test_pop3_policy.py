"""What the policy makes of DELE and of numbers, through a whole front end.

RFC 1939 §4 (numbers), §5 (DELE), §6 (UPDATE).
"""

import pytest

from service.model.policy import PolicyValue
from tests.mail.house import House
from tests.net.front import Front, read_multi_line
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
    assert [e.action for _, e in front.house.provider.state.audit] == ["messages.remove"] * (dele == "remove")


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
