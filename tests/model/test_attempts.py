"""Scores fade, limits are reached, and a mark tells no password."""

from hypothesis import given
from hypothesis import strategies as st

from service.model.attempts import Kind, Limit, Standing, Subject, Verdict, faded, judge, lasting, mark_of

LIMIT = Limit(delay_from=4, refuse_from=12)


def standing(score: float, kind: Kind = Kind.ADDRESS) -> Standing:
    return Standing(Subject(kind, "192.0.2.1"), score)


def verdict(score: float, kind: Kind = Kind.ADDRESS, limit: Limit = LIMIT) -> Verdict:
    return judge([standing(score, kind)], {kind: limit}, 8.0)


def test_a_delay_doubles_with_each_quarter_of_its_limit_up_to_the_longest() -> None:
    assert [LIMIT.delay(score, 8.0) for score in (3, 4, 5, 6, 7, 8, 9, 500)] == [0, 0.5, 1, 2, 4, 8, 8, 8]


def test_a_score_that_faded_a_little_still_comes_to_its_limit() -> None:
    assert LIMIT.delay(3.9, 8.0) == 0.5
    assert LIMIT.refuses(11.6)
    assert not LIMIT.refuses(11.4)


def test_what_is_off_never_comes_to_anything() -> None:
    off = Limit()
    assert (off.delay(1e6, 8.0), off.refuses(1e6), off.closes(1e6), off.counts) == (0.0, False, False, False)
    assert judge([standing(1e6)], {}, 8.0) == Verdict()


def test_an_address_at_twice_its_limit_has_its_connections_closed_and_nobody_else_has() -> None:
    assert (verdict(23).refused, verdict(23).closes) == (True, False)
    assert verdict(24).closes
    assert not verdict(1000, Kind.ACCOUNT).closes


def test_the_hardest_of_several_counts() -> None:
    standings = [standing(6), standing(13, Kind.ACCOUNT), standing(7, Kind.PAIR)]
    found = judge(standings, dict.fromkeys(Kind, LIMIT), 8.0)
    assert (found.refused, found.by) == (True, standings[1])
    assert judge([standing(1)], {Kind.ADDRESS: LIMIT}, 8.0).by is None


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e6))
def test_scores_only_fade(score: float, seconds: float, half_life: float) -> None:
    left = faded(score, seconds, half_life)
    assert 0 <= left <= score
    assert faded(score, -seconds, half_life) == score
    assert faded(score, lasting(score) * half_life, half_life) <= max(0.5, score / 2) * 1.001


@given(st.integers(0, 10_000))
def test_a_higher_score_is_never_treated_better(score: int) -> None:
    worse, better = verdict(score + 1), verdict(score)
    assert worse.delay >= better.delay
    assert worse.refused >= better.refused
    assert worse.closes >= better.closes


def test_a_mark_is_twelve_bits_salted_by_the_account() -> None:
    mark = mark_of("ann@acme.example", "pass wörd")
    assert mark == mark_of("ann@acme.example", "pass wörd")
    assert mark not in {mark_of("bob@acme.example", "pass wörd"), mark_of("ann@acme.example", "pass word")}
    assert (len(mark), int(mark, 16) < 4096) == (3, True)
    assert mark_of("ann@acme.example", "\udcff") != ""


def test_a_mark_leaves_a_great_many_passwords_possible() -> None:
    marks = [mark_of("ann@acme.example", f"guess {number}") for number in range(40_960)]
    alike = marks.count(mark_of("ann@acme.example", "secret"))
    assert 0 < alike < 40
