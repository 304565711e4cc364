"""Which classes of callers bring mostly wrong passwords. G13, G15."""

import pytest

from service.mail.doubts import Doubts

FEW = 10
DOZENS = 48


def heard(doubts: Doubts, whose: str, *passwords: bool) -> None:
    for right in passwords:
        doubts.heard(whose, right=right)


def test_nobody_is_doubted_for_a_few_wrong_passwords() -> None:
    doubts = Doubts()
    heard(doubts, "acme", *[False] * FEW)
    assert "acme" not in doubts
    assert "other" not in doubts


def test_a_class_that_brings_nothing_but_wrong_passwords_is_doubted_and_no_other() -> None:
    doubts = Doubts()
    heard(doubts, "acme", *[False] * DOZENS)
    assert "acme" in doubts
    assert "other" not in doubts


def test_right_passwords_end_the_doubt_and_in_the_end_nothing_is_kept() -> None:
    doubts = Doubts()
    heard(doubts, "acme", *[False] * DOZENS, *[True] * FEW)
    assert "acme" not in doubts
    heard(doubts, "acme", *[True] * DOZENS)
    assert len(doubts) == 0


@pytest.mark.parametrize("tried", [(False, True), (True, False), (False, True, True)])
def test_accounts_with_two_passwords_of_which_each_login_tries_both_are_not_doubted(tried: tuple[bool, ...]) -> None:
    doubts = Doubts()
    for _ in range(DOZENS):
        heard(doubts, "acme", *tried)
        assert "acme" not in doubts


def test_g15_no_more_classes_are_known_than_were_allowed_and_the_oldest_go_first() -> None:
    doubts = Doubts(most=2)
    for whose in ("first", "second", "first", "third"):
        heard(doubts, whose, *[False] * DOZENS)
    assert len(doubts) == 2
    assert "first" in doubts
    assert "second" not in doubts
