"""A database that came back without its last writes, under a session that had listed them. F5; G4, G8, G9.

RFC 1939 §4: "After the POP3 server has opened the maildrop, it assigns a message-number to each message".
"""

import pytest

from tests.mail.house import House
from tests.net.front import Front

FIRST, SECOND, THIRD = (b"Subject: %d\r\n\r\ntext %d\r\n" % (number, number) for number in (1, 2, 3))


def forget_the_newest(house: House) -> None:
    """What a standby lacks that took over before it had the newest message; fences it never has."""
    state, row = house.provider.state, house.provider.state.maildrops[house.key]
    gone = state.messages[house.key].pop(row.next_sequence - 1)
    row.messages, row.octets = row.messages - 1, row.octets - gone.message.octets
    row.next_sequence -= 1
    state.fences.clear()


@pytest.mark.parametrize("command", [b"RETR 2", b"TOP 2 0", b"TOP 2 9"])
async def test_a_number_never_stands_for_a_message_that_came_in_the_place_of_the_listed_one(command: bytes) -> None:
    house = await House().furnish(FIRST, SECOND)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"LIST 2\r\n")
        assert await wire.line() == b"+OK 2 %d" % len(SECOND)
        forget_the_newest(house)
        await house.deliver(THIRD)
        await wire.send(command + b"\r\nNOOP\r\nDELE 2\r\nQUIT\r\n")
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP]")
        assert await wire.line() == b"+OK"
        assert await wire.line() == b"+OK"
        assert (await wire.line()).startswith(b"-ERR [SYS/TEMP] This session no longer")
    assert [row.removed_at for row in house.provider.rows(house.key)] == [None, None]


async def test_what_was_fetched_ahead_is_not_sent_for_another_message() -> None:
    house = await House().furnish(FIRST, SECOND)
    front = Front(house)
    async with front.listening():
        wire = await front.logged_in()
        await wire.send(b"LIST 2\r\n")
        assert await wire.line() == b"+OK 2 %d" % len(SECOND)
        forget_the_newest(house)
        await house.deliver(THIRD)
        await wire.send(b"RETR 1\r\nRETR 2\r\nQUIT\r\n")
        octets = await wire.rest()
    assert octets == b"+OK %d octets\r\n%s.\r\n" % (len(FIRST), FIRST) + (
        b"-ERR [SYS/TEMP] Try again later: service unavailable, please wait\r\n+OK Bye\r\n"
    )
