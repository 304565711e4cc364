"""The table of policy values: what is sound, how it is typed, which of two allows more.

RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from dataclasses import fields

import pytest

from service.model.policy import Policy, PolicyValue
from service.model.policy_table import POLICY_NAMES, RULES, check_policy, default_of, policy_of


def test_every_value_of_a_policy_has_its_row_and_a_sound_default() -> None:
    assert tuple(field.name for field in fields(Policy)) == POLICY_NAMES
    check_policy({name: default_of(name) for name in POLICY_NAMES})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("login_delay", -1),
        ("login_delay", True),
        ("login_delay", "1"),
        ("login_delay", None),
        ("expire_days", 36_501),
        ("pop3", None),
        ("pop3", 1),
        ("mechanisms", ()),
        ("mechanisms", ("CRAM-MD5",)),
        ("mechanisms", "PLAIN"),
        ("networks", ()),
        ("networks", ("10.0.0.1/8",)),
        ("networks", ("ten",)),
        ("networks", ("10.0.0.0/8",) * 65),
        ("dele", "ignore"),
        ("dele", None),
        ("order", "random"),
        ("undo_days", 0),
        ("shown_since", "31.1.2026"),
        ("shown_since", "20260131"),
        ("shown_since", "2026-02-30"),
        ("shown_since", 2026),
        ("shown_days", 0),
        ("recent_days", 0),
        ("undo_days", None),
        ("quota", 1),
    ],
)
def test_an_unsound_value_is_refused_by_its_name(name: str, value: PolicyValue) -> None:
    with pytest.raises(ValueError, match=name):
        check_policy({name: value})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("login_delay", "60", 60),
        ("expire_days", "never", None),
        ("pop3", "off", False),
        ("mechanisms", "plain, SCRAM-SHA-256", ("PLAIN", "SCRAM-SHA-256")),
        ("mechanisms", "any", None),
        ("shown_since", "2026-01-31", "2026-01-31"),
        ("recent_days", "none", None),
        ("networks", "192.0.2.0/24,2001:db8::/32", ("192.0.2.0/24", "2001:db8::/32")),
    ],
)
def test_a_value_is_read_as_a_person_types_it(name: str, text: str, value: PolicyValue) -> None:
    assert RULES[name].parse(text) == value
    check_policy({name: value})


@pytest.mark.parametrize(("name", "text"), [("login_delay", "1_0"), ("login_delay", "٣"), ("pop3", "maybe")])
def test_what_can_not_be_read_is_refused_with_the_text(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RULES[name].parse(text)


@pytest.mark.parametrize(
    ("name", "tight", "loose"),
    [
        ("login_delay", 60, 59),
        ("expire_days", 30, 31),
        ("expire_days", 30, None),
        ("pop3", False, True),
        ("mechanisms", ("SCRAM-SHA-256",), ("SCRAM-SHA-256", "PLAIN")),
        ("mechanisms", ("PLAIN",), None),
        ("networks", ("10.0.0.0/8",), ("10.0.0.0/8", "192.0.2.0/24")),
        ("networks", ("2001:db8::/32",), ("2001:db8::/31",)),
        ("networks", ("10.0.0.0/9",), ("10.0.0.0/8",)),
        ("dele", "refuse", "keep"),
        ("dele", "keep", "undo"),
        ("dele", "undo", "remove"),
        ("undo_days", 1, 2),
        ("retrieved_days", 0, 1),
        ("retrieved_days", 14, None),
        ("shown_since", "2026-02-01", "2026-01-31"),
        ("shown_since", "2026-02-01", None),
        ("shown_days", 7, 8),
        ("shown_days", 7, None),
        ("recent_days", 7, 8),
        ("recent_days", None, 7),
    ],
)
def test_of_two_values_one_allows_more(name: str, tight: PolicyValue, loose: PolicyValue) -> None:
    rule = RULES[name]
    assert rule.looser(loose, tight)
    assert not rule.looser(tight, loose)
    assert not rule.looser(tight, tight)
    assert not rule.looser(loose, loose)


def test_what_a_later_release_set_is_left_to_it() -> None:
    assert policy_of({"expire_days": 3, "not_yet_known": [1]}) == Policy(expire_days=3)  # type: ignore[dict-item]


def test_a_null_where_none_may_be_set_means_the_default() -> None:
    assert policy_of({"login_delay": None, "pop3": None}) == Policy()


@pytest.mark.parametrize("values", [{"pop3": "off"}, {"networks": ("ten",)}, {"login_delay": "x"}])
def test_a_stored_value_that_can_not_be_obeyed_opens_nothing(values: dict[str, PolicyValue]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        policy_of(values)


def test_a_stored_number_outside_of_todays_bounds_is_obeyed() -> None:
    assert policy_of({"expire_days": 0}) == Policy(expire_days=0)
