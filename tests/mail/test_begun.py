"""What is asked for before anybody waits takes a turn that is free, or none, and gives it back however it ends. G16."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.mail.begun import SpareBegun
from service.mail.patience import Flow
from service.mail.turns import Bounds, Turns
from service.model.refusal import Reason, Refusal

pytestmark = pytest.mark.asyncio


@dataclass
class Asked:
    """Gives futures that the test ends."""

    begun: list["asyncio.Future[bytes]"] = field(default_factory=list)
    none: bool = False

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        if key == "":
            raise Refusal(Reason.BROKEN, "not the key of a blob")
        if self.none:
            return None
        self.begun.append(asyncio.get_running_loop().create_future())
        return self.begun[-1]


async def test_half_of_all_turns_stay_free_for_those_who_wait() -> None:
    asked, turns = Asked(), Turns("store", Bounds(4))
    spare = SpareBegun(asked, turns)
    assert spare.begin("t/1", 9) is not None
    assert spare.begin("t/2", 9) is not None
    with pytest.raises(Refusal) as refused:
        spare.begin("t/3", 9)
    assert refused.value.reason is Reason.OVERLOADED
    assert (turns.used, len(asked.begun)) == (2, 2)


async def test_a_turn_is_given_back_however_a_read_ends_and_only_octets_show_that_the_store_gives() -> None:
    asked, turns, flow = Asked(), Turns("store", Bounds(8)), Flow()
    spare = SpareBegun(asked, turns, flow)
    for _ in range(3):
        assert spare.begin("t/1", 9) is not None
    cancelled, failed, came = asked.begun
    cancelled.cancel()
    failed.set_exception(Refusal(Reason.UNAVAILABLE))
    await asyncio.wait({cancelled, failed})
    await asyncio.sleep(0)
    assert (turns.used, flow.heard) == (1, float("-inf"))
    came.set_result(b"text")
    await asyncio.wait({came})
    await asyncio.sleep(0)
    assert turns.used == 0
    assert flow.heard > float("-inf")


async def test_what_cannot_be_begun_holds_no_turn() -> None:
    asked, turns = Asked(none=True), Turns("store", Bounds(4))
    assert SpareBegun(asked, turns).begin("t/1", 9) is None
    with pytest.raises(Refusal):
        SpareBegun(asked, turns).begin("", 9)
    assert turns.used == 0


async def test_what_is_traced_is_left_to_a_task_which_has_a_step_of_its_own() -> None:
    asked, turns = Asked(), Turns("store", Bounds(4))
    assert SpareBegun(asked, turns, traced=lambda: True).begin("t/1", 9) is None
    assert (turns.used, asked.begun) == (0, [])
