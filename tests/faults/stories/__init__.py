"""Histories made by hand, each with one thing in it that may not be, by the guarantee that forbids it."""

from collections.abc import Callable, Sequence

from tests.faults.operations import Operation
from tests.faults.stories import holding, keeping, telling
from tests.faults.telling import Teller

Story = Callable[[Teller], Sequence[Operation]]

STORIES: dict[str, tuple[Story, ...]] = {
    "G1": (keeping.lost, keeping.never_seen, keeping.unmarked_and_removed, keeping.unmarked_by_rset_and_removed),
    "G2": (keeping.removed_without_quit,),
    "G3": (keeping.kept_in_words_alone, keeping.removed_and_listed, keeping.half_removed),
    "G4": (holding.two_holders, holding.older_removes, holding.older_removes_unheard, holding.both_remove),
    "G5": (holding.lost_session_goes_on,),
    "G6": (holding.waits_for_nobody, holding.waits_for_the_dead),
    "G7": (telling.reused, telling.changed, telling.twice_the_same),
    "G8": (telling.other_octets, telling.other_octets_than_before, telling.a_strangers_text, telling.another_top),
    "G9": (telling.wrong_octets_listed, telling.wrong_sum, telling.numbers_move, telling.not_frozen),
    "G11": (holding.a_password_too_old, holding.suspended_and_open),
    "G14": (
        *(holding.the_right_password_is_wrong, holding.login_refused_without_code, keeping.nothing_there),
        *(keeping.left_out, keeping.gone_and_back, telling.plain_refusal, telling.given_back),
    ),
    "G18": (keeping.doubled,),
    "history": (keeping.unjudgeable,),
}
